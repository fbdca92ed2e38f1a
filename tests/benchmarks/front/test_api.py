"""The functions for programs do what the verbs do; the example of the documentation is run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.front import api
from converters.errors import CheckpointError
from results.errors import RecordError
from tests.conftest import ROOT

REFERENCE = ROOT / "results" / "reference" / "pretrained_against_random"
PAGE = ROOT / "docs" / "command.md"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder and the outcome of the program on the page; the package has the name of an installation."""
    folder = tmp_path_factory.mktemp("a folder of mine ä")
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    begin = f"import sys; sys.path.insert(0, {str(folder)!r})\n"
    (folder / "moco_transfer").symlink_to(ROOT / "benchmarks" / "front")
    done = subprocess.run(
        [sys.executable, "-c", begin + program], cwd=folder, capture_output=True, text=True, timeout=300
    )
    return folder, done


def test_the_example_of_the_page_runs(example: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = example
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("14 suites of the paper")
    assert "not comparable with published numbers: smoke" in done.stdout
    (record,) = api.load_records(folder / "runs" / "example")
    assert (record["suite"], record["status"]) == ("knn_imagenet", "finished")


def test_each_function_of_the_page_is_there() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("| function |")[2]
    named = set(re.findall(r"`(\w+)\(", table))
    assert named | {"CommandError"} == set(api.__all__)


def test_tables_and_tests_are_those_of_the_verbs(tmp_path: Path) -> None:
    text = api.table(REFERENCE, ["study_raccoon"])
    assert "random@thin_r50" in text
    assert "study_bccd" not in text
    lines = api.compare("thin_r50", "random@thin_r50", REFERENCE)
    assert "study_raccoon" in {line.suite for line in lines}
    assert set(api.records_frame(REFERENCE)["suite"]) >= {"study_bccd", "study_raccoon"}
    page = api.report(REFERENCE, tmp_path / "page.html")
    assert "study_raccoon" in page.read_text(encoding="utf-8")


def test_records_are_verified_and_merged(tmp_path: Path) -> None:
    assert api.verify(REFERENCE).problems == []
    copy = tmp_path / "copy"
    shutil.copytree(REFERENCE / "records" / "study_raccoon", copy / "records" / "study_raccoon")
    shutil.copy(REFERENCE / "journal.jsonl", copy)
    assert api.merge(tmp_path / "joined", [copy])
    path = next((copy / "records").glob("*/*.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 99}))
    assert api.verify(copy).problems


def test_errors_are_exceptions_with_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RecordError, match="no records in"):
        api.table(tmp_path)
    with pytest.raises(CheckpointError, match="nothing.pth"):
        api.open_checkpoint(tmp_path / "nothing.pth")
    with pytest.raises(api.CommandError, match="exit code 2") as caught:
        api.run("voc_c5", ["random"], output=tmp_path / "runs")
    assert caught.value.code == 2
    assert "voc_c4" in capsys.readouterr().err, "the nearest name"
    assert not (tmp_path / "runs").exists()


def test_a_backbone_is_opened_and_converted(narrow_backbone: Path, tmp_path: Path) -> None:
    opened = api.open_checkpoint(narrow_backbone)
    written = api.convert(narrow_backbone, tmp_path / "again.safetensors")
    assert written.content_sha256() == opened.content_sha256()
    assert api.open_checkpoint(tmp_path / "again.safetensors").content_sha256() == opened.content_sha256()
    assert "moco_v3" in api.publishers()
