"""A run in a tracker: any module with init, log and finish, TensorBoard, and those that fail."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from converters.trackers import BOARD, Run, TrackerError, Trackers, tracking
from tests.converters import fake_tracker

FAKE = Trackers(module=fake_tracker.NAME)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives what the fake tracker was told so far."""
    path = tmp_path / "told"
    monkeypatch.setenv("FAKE_TRACKER", str(path))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path, "studies", "first", {"lr": 0.1})


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The calls of a stand-in for TensorBoard, which is no requirement."""
    calls: list[Any] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int) -> None:
            calls.append((folder, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            calls.append((name, value, step))

        def close(self) -> None:
            calls.append("closed")

    module = ModuleType(BOARD)
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, BOARD, module)
    return calls


def test_a_run_is_told_to_both(told: Any, board: list[Any], run: Run) -> None:
    with tracking(Trackers(True, fake_tracker.NAME), run, pytest.fail) as trackers:
        for tracker in trackers:
            tracker.log({"loss": 2.0}, 40)
    named = {"project": "studies", "name": "first", "config": {"lr": 0.1}}
    assert told() == [["init", named], ["log", 40, {"loss": 2.0}], ["finish"]]
    assert board == [(str(run.directory / "tensorboard"), 40), ("loss", 2.0, 40), "closed"]


def test_a_tracker_that_fails_is_one_line(told: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_TRACKER_FAILS", "1")
    lines: list[str] = []
    with tracking(FAKE, run, lines.append) as trackers:
        for iteration in range(3):
            trackers[0].log({"loss": 1.0}, iteration)
    assert lines == [
        f"--tracker {fake_tracker.NAME}: log failed (no route to host); the run goes on without it"
    ]
    assert [line[0] for line in told()] == ["init"]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("no_such_tracker", "no_such_tracker: cannot be imported .*; install it"),
        ("", "--tracker '': cannot be imported .*; install it"),
        (".foo", r"--tracker \.foo: cannot be imported .*; install it"),
        ("json", "json: has no function init; expected a module with init, log, finish"),
        ("broken_tracker", r"cannot be imported \(no home folder\); install it"),
    ],
)
def test_no_tracker(module: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_tracker.py").write_text("raise OSError('no home\\nfolder')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TrackerError, match=message):
        Trackers(module=module).check()


def test_tensorboard_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, BOARD, None)
    with pytest.raises(TrackerError, match=r"^--tensorboard: needs the package tensorboard .*; install it"):
        Trackers(tensorboard=True).check()


def test_a_tracker_that_refuses_to_begin(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pre-training begins it before anything is computed; a cell that was planned goes on."""

    def refuses(**_: object) -> None:
        raise RuntimeError("not logged in")

    monkeypatch.setattr(fake_tracker, "init", refuses)
    with pytest.raises(TrackerError, match=r"init failed \(not logged in\); run without it"):
        FAKE.begin(run, pytest.fail)
    lines: list[str] = []
    with tracking(FAKE, run, lines.append) as trackers:
        assert list(trackers) == []
    assert len(lines) == 1
    assert "init failed (not logged in)" in lines[0]


def test_another_process_tells_nothing(told: Any) -> None:
    with tracking(FAKE, None, pytest.fail) as trackers:
        assert list(trackers) == []
    assert told() == []
