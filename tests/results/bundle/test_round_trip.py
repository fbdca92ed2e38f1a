"""Publish, pull, publish: nothing lost between directories, equal bytes, nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from results.__main__ import main
from results.bundle import files
from results.bundle import publish as publishing
from results.bundle.check import verify_bundle
from results.bundle.publish import publish
from results.bundle.pull import pull
from results.errors import RecordError
from results.store import load_records
from results.verify import verify
from tests.results.bundle.conftest import make_runs, sealed

NAMES = ("bundle", "bundle.tar.gz", "bundle.zip")


def test_two_directories_of_different_engines_become_equal(tmp_path: Path) -> None:
    """Each pulls the other's bundle; tables, outcomes and predictions of both are then the same."""
    ours, theirs = (make_runs(tmp_path / name, name) for name in ("torchvision", "detectron2"))
    list(publish(ours, tmp_path / "ours.tar.gz"))
    list(publish(theirs, tmp_path / "theirs.zip"))
    list(pull(tmp_path / "theirs.zip", ours))
    list(pull(tmp_path / "ours.tar.gz", theirs))
    for root in (ours, theirs):
        assert verify(root).problems == []
        assert {r["engine"]["name"] for r in load_records(root)} == {"torchvision", "detectron2"}
    assert load_records(ours) == load_records(theirs)
    list(publish(ours, tmp_path / "a"))
    list(publish(theirs, tmp_path / "b"))
    told = [json.loads((tmp_path / name / "index.json").read_text())["files"] for name in "ab"]
    # what each of them knows by itself: when it saved, and whose it pulled
    own = {"journal.jsonl", "pulled.jsonl"}
    assert {k: v for k, v in told[0].items() if k not in own} == {
        k: v for k, v in told[1].items() if k not in own
    }
    assert sum("/predictions/" in name for name in told[0]) == 16


@pytest.mark.parametrize("name", NAMES)
def test_equal_input_gives_equal_bytes(
    name: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(runs, tmp_path / "copy", copy_function=shutil.copy)
    for number, root in enumerate((runs, tmp_path / "copy")):
        (tmp_path / str(number)).mkdir()
        monkeypatch.setattr(time, "time", lambda day=number: 1e9 + 86400 * day)
        list(publish(root, tmp_path / str(number) / name))
        for path in root.rglob("*"):
            os.utime(path, (1, 1))
    one, two = (tmp_path / n / name for n in "01")
    pairs = [(path, two / path.relative_to(one)) for path in [one, *one.rglob("*")] if path.is_file()]
    assert pairs
    assert all(a.read_bytes() == b.read_bytes() for a, b in (pairs or [(one, two)]))
    verdict, sha256 = verify_bundle(one)
    assert (verdict.records, verdict.problems, verdict.notes) == (4, [], [])
    assert sha256 == verify_bundle(two)[1]


def test_no_network_and_no_picture_goes_out(bundle: Path) -> None:
    held = {path.name for path in bundle.rglob("*") if path.is_file()}
    assert not held & {"model_final.pth", "samples.png", "hashes.json"}
    assert {"per_image.npz", "log.jsonl", "per_class.json", "environment.json", "größe.png"} <= held
    manifests = [json.loads(path.read_text()) for path in bundle.glob("manifests/*.json")]
    assert sorted(one["source"] for one in manifests) == ["moco", "random"]


def test_the_size_is_said_first_and_predictions_may_stay(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", str(runs), "-o", str(tmp_path / "small.zip"), "--without-predictions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0.0 MB in 20 files, predictions 0.0 MB; 4 records, 4 finished"
    assert lines[1].startswith(f"wrote {tmp_path}/small.zip; hash over all ")
    sha256 = lines[1].split()[-1]
    assert main(["verify", str(tmp_path / "small.zip"), "--sha256", sha256]) == 0
    assert "0 problems; hash over all " + sha256 in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "small.zip"), "--sha256", "0" * 64]) == 1
    assert main(["pull", str(tmp_path / "small.zip"), str(tmp_path / "new"), "--sha256", "0" * 64]) == 2
    assert "not what was published" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_where_records_came_from_is_kept(bundle: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    list(pull(bundle, first))
    assert list(pull(bundle, first))[0] == f"{bundle}: 4 records, 0 new, 0 replaced"
    told = [json.loads(line) for line in (first / "pulled.jsonl").read_text().splitlines()]
    assert [(one["from"], one["sha256"], len(one["records"])) for one in told] == [
        ("bundle", sealed(bundle), 4)
    ]
    list(publish(first, tmp_path / "again.tar.gz"))
    list(pull(tmp_path / "again.tar.gz", second))
    passed_on = [json.loads(line) for line in (second / "pulled.jsonl").read_text().splitlines()]
    assert [one["from"] for one in passed_on] == ["bundle", "again.tar.gz"]


def test_predictions_of_another_run_are_not_mixed(bundle: Path, tmp_path: Path) -> None:
    """A cell that failed here and finished there takes their files and keeps none of its own."""
    cell = next(bundle.glob("cells/voc_c4/moco-*"))
    left = tmp_path / "here" / cell.relative_to(bundle) / "predictions"
    left.mkdir(parents=True)
    (left / "old.txt").write_text("of a run before")
    list(pull(bundle, tmp_path / "here"))
    assert sorted(p.name for p in left.iterdir()) == ["comp4_det_test_traffic light.txt", "masks"]


def test_what_cannot_be_published_is_one_line(
    runs: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    changed = tmp_path / "changed"
    shutil.copytree(runs, changed)
    path = next(changed.glob("records/*/*.json"))
    path.write_text(path.read_text().replace('"AP": 55.0', '"AP": 65.0').replace('"AP": 56.0', '"AP": 66.0'))
    for root, output, says in (
        (changed, "new", "its bytes are not those that were saved"),
        (tmp_path / "empty", "new", "no records in"),
        (tmp_path / "nowhere", "new", "is not a directory"),
        (runs, "bundle", "is there already"),
        (runs, "nowhere/new", "is not a folder; make it first"),
    ):
        before = sorted(tmp_path.rglob("*"))
        assert main(["publish", str(root), "-o", str(tmp_path / output)]) == 2
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", NAMES)
def test_nothing_half_written_is_left(
    name: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that changes while it is packed, and a full disk: nothing is there, under any name."""
    real = publishing.make_index

    def and_then_changed(found: dict[str, files.Entry]) -> object:
        next(runs.glob("cells/*/*/log.jsonl")).write_text('{"iteration": 2, "total_loss": 0.5}\n')
        return real(found)

    monkeypatch.setattr(publishing, "make_index", and_then_changed)
    with pytest.raises(RecordError, match="changed while it was read"):
        list(publish(runs, tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
