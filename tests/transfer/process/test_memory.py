"""Freed memory is reused, not handed back."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from yacs.config import CfgNode

from benchmarks import cell
from converters.trackers import Run, Trackers
from tests.conftest import ROOT
from transfer.process.distributed import World
from transfer.run import RunRequest

PROGRAM = """
import resource, sys, numpy
from transfer.process.memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
for _ in range(3):
    numpy.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    numpy.ones(2**24)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(mode: str) -> tuple[str, int]:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, mode], cwd=ROOT, capture_output=True, text=True, check=True
    )
    kept, faults = run.stdout.split()
    return kept, int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_blocks_of_128_mib_are_mapped_once() -> None:
    assert _faults("default")[1] > 0, "this machine does not count page faults"
    assert _faults("keep") == ("True", 0)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_cell_on_a_cpu_keeps_its_memory(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(cell, "keep_freed_memory", lambda: calls.append("kept"))
    request = RunRequest(CfgNode(), "torchvision", 0, "random", "nowhere")

    def run(world: World, request: RunRequest) -> dict[str, str]:
        return {"on": world.device.type}

    told = (Trackers(), Run(Path(), "", "", {}))
    assert cell._run_request(World(0, 1, torch.device(device)), told, run, request) == {"on": device}
    assert calls == (["kept"] if device == "cpu" else [])
