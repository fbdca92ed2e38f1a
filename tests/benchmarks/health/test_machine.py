"""The machine: disk, memory, Slurm and the named weights."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from benchmarks.health import machine
from benchmarks.health.finding import NOTE, OK, PROBLEM
from tests.benchmarks.health.sick import absent, only


def test_a_full_disk_and_little_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**10, 10**10, 10**9))
    monkeypatch.setattr(machine, "_memory_gb", lambda: 1.5)
    found = list(machine.resources(tmp_path / "deep" / "runs"))
    assert [finding.what for finding in only(found, PROBLEM)] == [f"disk: 1 GB free at {tmp_path}"]
    assert [finding.what for finding in only(found, NOTE)] == ["memory: 2 GB available"]


@pytest.mark.parametrize(("script", "level", "says"), [
    ("echo 'main* 1 idle'", OK, "Slurm: main* 1 idle"),
    ("echo 'Unable to contact slurm controller' >&2; exit 1", NOTE, "Slurm: Unable to contact"),
])  # fmt: skip
def test_slurm(script: str, level: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (("sinfo", script), ("sbatch", "true")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    absent(monkeypatch, "submitit")
    no_submitit, answer = machine.slurm()
    assert no_submitit.level == NOTE
    assert answer.level == level
    assert answer.what.startswith(says)


def test_no_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (finding,) = machine.slurm()
    assert finding.level == NOTE


def test_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOCO_TRANSFER_CACHE", str(tmp_path))
    (tmp_path / "R-50.pkl").write_bytes(b"")
    levels = {finding.what.split(":")[0]: finding.level for finding in machine.weights()}
    assert levels == {"--init supervised": NOTE, "--init msra": OK}
