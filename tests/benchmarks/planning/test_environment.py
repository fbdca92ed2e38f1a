"""A record names versions and the command of its process, and no folder of the machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.planning.environment import environment


def test_the_command_has_no_folder_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = tmp_path / "runs" / "cells" / "voc_c4" / "moco" / "job.json"
    monkeypatch.setattr(sys, "argv", ["/home/author/benchmarks/cell.py", str(job), "--flag", "runs/x", "3"])
    monkeypatch.chdir(tmp_path)
    for output in (tmp_path / "runs", Path("runs")):
        assert environment(None, 1, output)["command"] == [
            *("cell.py", "cells/voc_c4/moco/job.json", "--flag", "runs/x", "3")
        ]
