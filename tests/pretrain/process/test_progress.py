"""Progress is short enough for a terminal, and readable off one; the log survives a crash."""

from __future__ import annotations

import io
import itertools
import re
from pathlib import Path

import pytest

from pretrain.process import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_fits_eighty_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Count, estimate and all values of a long run in full; what is beside the iterations as well."""
    screen = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    reporter = progress.Reporter(tmp_path, first=0, total=1_250_000, batch_size=1024)
    with reporter.phase("kNN of the untrained network", 50_000) as advance:
        advance(256)
        reporter._bar.refresh()
    reporter._clock -= 2000  # seconds ago
    reporter.step(3, {"loss": 11.0912345, "acc1": 100.0, "acc5": 100.0, "lr": 0.000123456})
    reporter.say("[/bold] is no markup")
    reporter.close()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", shown)]
    assert "[/bold] is no markup" in lines
    assert not [line for line in lines if "..." in line or "\u2026" in line or len(line) > 80]
    assert any(line.startswith("256/50000 kNN of the untrained network, ETA ") for line in lines), lines
    left = progress.time_left(2000 / 3 * 1_249_997)
    expected = f"3/1250000 ETA {left[:4]}"
    assert any(line.startswith(expected) for line in lines), lines
    text = "loss 11.09 acc1 100.0 acc5 100.0 lr 0.000123 1.54 img/s"
    assert any(text in line for line in lines), lines


def test_progress_of_a_command_without_a_terminal(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line now and then, with an estimate."""
    clock = itertools.count(0.0, 4.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.shown(40, "features") as advance:
        for _ in range(4):
            advance(10)
    assert capsys.readouterr().err.splitlines() == [
        "features: 20/40 ETA 0:00:08",
        "features: 40/40 ETA 0:00:00",
    ]


def test_the_estimate_of_a_run_of_days_counts_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 100.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    reporter = progress.Reporter(tmp_path, first=0, total=2001, batch_size=1)
    reporter.step(1, {"loss": 1.0})
    reporter.close()
    assert "ETA 2d 7h" in capsys.readouterr().out


def test_torn_and_future_log_lines_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"iteration": 2, "loss": 1}\n{"iteration": 4, "loss": 1}\n{"iterat')
    progress.trim_log(tmp_path, 2)
    assert (tmp_path / "log.jsonl").read_text() == '{"iteration": 2, "loss": 1}\n'
    progress.trim_log(
        tmp_path, 0
    )  # a run that starts afresh writes everything again, the kNN of iteration 0 too
    assert (tmp_path / "log.jsonl").read_text() == ""
