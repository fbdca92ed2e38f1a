"""The folder of a study: what goes in, what stays out, and that nothing in it is overwritten or laundered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from results.__main__ import main
from results.errors import RecordError
from results.evidence.frozen import frozen_columns, protocols, read_frozen
from results.evidence.keep import keep
from results.hashes import HASHES
from results.verify import verify
from tests.results.evidence.conftest import CHECKPOINTS


def test_records_classes_and_frozen_results_are_kept_and_nothing_else(runs: Path, study: Path) -> None:
    kept = {path.relative_to(study) for path in study.rglob("*") if path.is_file()}
    there = {path.relative_to(runs) for path in runs.rglob("*") if path.is_file()}
    assert kept - there == {Path(HASHES)}
    assert {path.name for path in there - kept} == {"samples.png"}
    verdict = verify(study)
    assert (verdict.records, verdict.problems, verdict.notes) == (48, [], [])
    assert verdict.kept_files == 36 + 2 * len(CHECKPOINTS)


def test_the_command_adds_to_a_study(runs: Path, study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "knn" / "more.json").write_text('{"knn": 3.0}')
    assert main(["keep", str(study), str(runs)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{study / HASHES}: 45 files beside the records"
    assert main(["verify", str(study)]) == 0
    assert capsys.readouterr().out == "48 records, 48 journal entries, 45 other files, 0 problems\n"


def test_another_result_of_one_name_is_refused(runs: Path, study: Path) -> None:
    (runs / "knn" / "epoch_02.json").write_text('{"knn": 99.0}')
    with pytest.raises(RecordError, match=r"epoch_02.json differs from the one that is kept"):
        list(keep(study, [runs]))
    assert verify(study).problems == []


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"knn": "12"}', '{"top1": {}}', '{"top1": {"30": null}}', "{}"]
)
def test_what_is_no_frozen_result_is_refused_before_anything_is_written(
    runs: Path, tmp_path: Path, content: str
) -> None:
    (runs / "linear" / "moco.json").write_text(content)
    with pytest.raises(RecordError, match=r"linear/moco.json: .*expected a result of pretrain.knn or"):
        list(keep(tmp_path / "new", [runs]))
    assert not (tmp_path / "new").exists()


def test_an_altered_file_is_found_and_gets_no_new_hash(runs: Path, study: Path) -> None:
    path = study / "knn" / "epoch_16.json"
    path.write_text(path.read_text().replace("24.0", "42.0"))
    (problem,) = verify(study).problems
    assert problem.startswith("knn/epoch_16.json: its bytes are not those that were kept (SHA-256")
    with pytest.raises(RecordError, match=r"knn/epoch_16.json: its bytes are not those"):
        list(keep(study, [runs]))
    path.unlink()
    assert verify(study).problems == [f"knn/epoch_16.json: kept according to {HASHES}, but the file is gone"]


def test_a_file_that_was_copied_in_is_noted(study: Path) -> None:
    (study / "knn" / "stranger.json").write_text('{"knn": 3.0}')
    assert verify(study).notes == [f"knn/stranger.json: not in {HASHES}; copied in"]
    (study / HASHES).write_text("{")
    with pytest.raises(RecordError, match=r"hashes.json: not JSON"):
        verify(study)
    (study / HASHES).write_text('{"a": 1}')
    with pytest.raises(RecordError, match=r"hashes.json: expected a JSON object of file names and hashes"):
        verify(study)


def test_every_rate_of_the_linear_protocol_is_a_column(study: Path) -> None:
    """The best of them would be chosen on the test images."""
    columns = frozen_columns(study)
    assert list(columns) == ["kNN", "linear, rate 10", "linear, rate 30"]
    assert columns["kNN"] == {init: 2 * ap for init, ap in CHECKPOINTS.items()}
    assert columns["linear, rate 30"]["epoch_02"] == 11.0
    assert protocols(study)["kNN"] == "20 neighbours"
    (study / "knn" / "whole.json").write_text(
        json.dumps({"knn": 1, "k": 20, "train_images": 10, "test_images": 5})
    )
    assert read_frozen(study / "knn" / "whole.json") == {"kNN": 1.0}
