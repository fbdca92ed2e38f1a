"""A run in an experiment tracker: any module with init, log and finish, and one that fails."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pretrain.errors import PretrainError
from pretrain.process.progress import Reporter
from pretrain.process.tracker import Tracker


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """The calls of a fake tracker, which can be imported as `fake_tracker`."""
    made: list[tuple[str, Any]] = []
    module = ModuleType("fake_tracker")
    module.init = lambda **named: made.append(("init", named))  # type: ignore[attr-defined]
    module.log = lambda values, step: made.append(("log", (step, values)))  # type: ignore[attr-defined]
    module.finish = lambda: made.append(("finish", None))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_tracker", module)
    return made


def test_a_run_is_tracked(calls: list, tmp_path: Path) -> None:
    run = tmp_path / "studies" / "first"
    run.mkdir(parents=True)
    tracker = Tracker("fake_tracker", run, {"lr": 0.1})
    reporter = Reporter(run, first=0, total=9, batch_size=4, tracker=tracker)
    reporter.step(3, {"loss": 2.0})
    reporter.record(6, {"knn": 40.0})
    reporter.close()
    assert calls[0] == ("init", {"project": "studies", "name": "first", "config": {"lr": 0.1}})
    assert calls[1][1][0] == 3
    assert calls[1][1][1]["loss"] == 2.0
    assert calls[2:] == [("log", (6, {"knn": 40.0})), ("finish", None)]


def test_a_tracker_that_fails_does_not_end_the_run(
    calls: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    tracker = Tracker("fake_tracker", tmp_path, {})

    def fails(values: dict, step: int) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(sys.modules["fake_tracker"], "log", fails)
    for iteration in range(3):
        tracker.log({"loss": 1.0}, iteration)
    tracker.close()
    assert [name for name, _ in calls] == ["init"]
    expected = "warning: --tracker fake_tracker: log failed (no route to host); the run goes on without it\n"
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("no_such_tracker", "no_such_tracker: cannot be imported .*; install it"),
        ("", "--tracker '': cannot be imported .*; install it"),
        (".foo", r"--tracker \.foo: cannot be imported .*; install it"),
        ("json", "json: has no function init; expected a module with init, log, finish"),
    ],
)
def test_no_tracker(module: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PretrainError, match=message):
        Tracker(module, tmp_path, {})


def test_a_tracker_that_refuses_to_begin(calls: list, tmp_path: Path, monkeypatch: Any) -> None:
    def refuses(**named: object) -> None:
        raise RuntimeError("not logged in")

    monkeypatch.setattr(sys.modules["fake_tracker"], "init", refuses)
    with pytest.raises(PretrainError, match=r"init failed \(not logged in\); run without it"):
        Tracker("fake_tracker", tmp_path, {})


def test_a_tracker_that_fails_at_its_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_tracker.py").write_text("raise OSError('no home\\nfolder')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PretrainError, match=r"cannot be imported \(no home folder\); install it"):
        Tracker("broken_tracker", tmp_path, {})
