"""Monitors and a tracker in a run of a row: what its log, its tracker and its exit code say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pretrain import cli
from pretrain.methods.choose import joint_row
from pretrain.monitors import choose, symptoms
from pretrain.process import distributed
from tests.pretrain.tiny import register_miniature

TINY = (
    "--arch resnet_miniature --image-size 16 --device cpu --precision fp32 --batch-size 8 --max-iters 6 -j 1"
)
ROW = "--method simsiam --projector w:bn-10f:bn0 --predictor 5:bn-10b --monitor-every 2"


def train(data: Path, output: Path, options: str) -> int:
    register_miniature()
    return cli.main(["--data", str(data), "--output", str(output), *f"{TINY} {options}".split()])


def test_a_run_is_measured_and_tracked(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked: list[Any] = []
    module = ModuleType("fake_tracker")
    module.init = lambda **named: tracked.append(named)  # type: ignore[attr-defined]
    module.log = lambda values, step: tracked.append((step, values))  # type: ignore[attr-defined]
    module.finish = lambda: tracked.append("end")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_tracker", module)
    assert train(image_folder, tmp_path / "run", f"{ROW} --tracker fake_tracker") == 0
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    measured = [record for record in records if "rankme" in record]
    assert [record["iteration"] for record in measured] == [2, 4, 6]
    assert 1 <= measured[0]["rankme"] <= 8
    assert measured[0]["alignment"] >= 0
    assert measured[0]["first_layer_gradient"] > 0
    first, *logged, last = tracked
    assert first["config"]["mechanism"] == "simsiam"
    assert [{"iteration": step, **values} for step, values in logged] == records
    assert last == "end"


def test_a_collapse_ends_a_run(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Bounds that no network keeps stand for a collapse; a run without the flag announces it and goes on."""
    monkeypatch.setattr(symptoms, "LEAST_STD", 99.0)
    assert train(image_folder, tmp_path / "goes_on", ROW) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("collapse")]
    assert len(told) == 1
    assert told[0].startswith("collapse since iteration 2: feature_std is ")
    assert train(image_folder, tmp_path / "ends", f"{ROW} --stop-on-collapse --save-iters 2") == 2
    assert "error: collapse since iteration 2: feature_std" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "ends").glob("checkpoint_0*")) == [
        "checkpoint_00000002.pth.tar", "checkpoint_00000004.pth.tar",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--moco-k 16 --monitor-every 5", "--monitor-every: queue has no monitor of collapse"),
        ("--moco-k 16 --stop-on-collapse", "--stop-on-collapse: queue has no monitor of collapse"),
        (f"{ROW[:-1]}0 --stop-on-collapse", "--stop-on-collapse needs the monitor"),
    ],
)
def test_refused(
    options: str, message: str, image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert train(image_folder, tmp_path / "run", options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_empty_name_of_a_tracker_is_refused(
    image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    register_miniature()
    words = ["--data", str(image_folder), "--output", str(tmp_path), *f"{TINY} {ROW}".split()]
    assert cli.main([*words, "--tracker", ""]) == 2
    assert capsys.readouterr().err.startswith("error: --tracker '': cannot be imported (")


def test_a_loss_that_is_not_finite_ends_a_run_by_its_own_line(
    image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = f"{ROW[:-1]}1 --optimizer sgd --lr 1e38 -p 3"
    assert train(image_folder, tmp_path / "run", options) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: the loss became nan by iteration ")
    assert error.count("\n") == 1


def test_only_the_first_process_reads_the_log(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: Any = SimpleNamespace(
        knn_every=0, output=tmp_path, monitor_every=2, stop_on_collapse=False, method=joint_row("simsiam")
    )
    read: list[Path] = []
    monkeypatch.setattr(choose, "course_of", lambda log: read.append(log) or symptoms.Course())
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        (monitor,) = choose.monitors_of(options, 1, 1, None, None, None, None)  # type: ignore[arg-type]
        assert monitor.course == symptoms.Course()  # type: ignore[attr-defined]
    assert read == [tmp_path / "log.jsonl"]
