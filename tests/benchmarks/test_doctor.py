"""The doctor: is this machine ready, does a process start as a cell's does; and the exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.doctor import cell_process, main
from benchmarks.health.finding import PROBLEM


def test_this_machine_is_ready(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--data-root", str(tmp_path), "--output", str(tmp_path / "runs")]) == 0
    printed = capsys.readouterr().out
    assert "its compiled operators work" in printed
    assert "pycocotools, lvis and cityscapesscripts work with numpy" in printed
    assert f"no data under {tmp_path} for voc_c4, " in printed
    assert printed.rstrip().endswith("ready")
    assert list(tmp_path.iterdir()) == [], "looking changes nothing"


def test_a_cell_that_would_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only a process of its own can tell: here torch is imported already."""
    (tmp_path / "torch.py").write_text("raise ImportError('what lies here is no torch')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (finding,) = cell_process()
    assert finding.level == PROBLEM
    assert finding.what == "a cell's process does not start: ImportError: what lies here is no torch"
    assert "PYTHONPATH" in finding.fix


def test_a_cell_that_would_run_another_copy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    for name in ("__init__.py", "cell.py"):
        (tmp_path / "benchmarks" / name).write_text("")
    monkeypatch.chdir(tmp_path)  # where a child looks first
    (finding,) = cell_process()
    assert finding.level == PROBLEM
    assert f"it would run {tmp_path}/benchmarks/cell.py instead of" in finding.what


def test_data_that_are_asked_for_and_absent_are_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--suite", "voc_c4", "--data-root", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "PROBLEM  data for voc_c4: missing" in printed
    assert printed.rstrip().endswith("1 to mend")
    assert main(["--suite", "voc_c9"]) == 2
    assert "error: --suite voc_c9: no such suite" in capsys.readouterr().err
