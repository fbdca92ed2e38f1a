"""Bombs are refused or read inertly within a second and 64 MB each, in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.converters.containers.bombs import write_all

ROOT = Path(__file__).parents[3]


def test_bombs_do_not_go_off(tmp_path: Path) -> None:
    names = write_all(tmp_path)
    run = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("open_each.py")), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == 0, run.stderr
    results = json.loads(run.stdout)
    for name, result in zip(names, results, strict=True):
        assert result["outcome"] != "accepted", name
        assert "\n" not in result["outcome"], name
        assert result["seconds"] < 5, (name, result)  # of the processor; one that goes off takes minutes
        assert result["growth_mb"] <= 64, (name, result)
