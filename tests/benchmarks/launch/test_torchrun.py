"""Two processes of torchrun on gloo: one plan, cells of both; a crash ends one cell alone.

NCCL and a second machine cannot be had here; what differs there is the address in torchrun's variables.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.benchmarks.command_line import QUICK_KEYS, miniature, start
from tests.conftest import ROOT

TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def _start(arguments: list[str]) -> subprocess.Popen[str]:
    return start(arguments, TWO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT)


def _records(output: Path) -> dict[str, dict[str, object]]:
    found = [json.loads(path.read_text()) for path in output.glob("records/voc_c4/*.json")]
    return {record["init"]: record for record in found}


def _second_process_of(label: str, output: Path) -> int | None:
    """The process id of rank 1 of a cell that has begun to train, from /proc."""
    if not any(path.stat().st_size for path in output.glob(f"cells/voc_c4/{label}-*/log.jsonl")):
        return None
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # it has gone
            continue
        if f"{output}/cells/voc_c4/{label}-" in command and b"RANK=1" in variables:
            return int(process.name)
    return None


@pytest.mark.slow
def test_two_processes_run_one_grid_and_a_crash_ends_one_cell_alone(
    devkit: Path, narrow_backbone: Path, tmp_path: Path
) -> None:
    if not Path("/proc/self/environ").exists():
        pytest.skip("needs /proc to find a process of a cell")
    options = miniature("a=random", f"b={narrow_backbone}", data_root=devkit, output=tmp_path)
    started = _start([*options, *QUICK_KEYS, "SOLVER.MAX_ITER", "24"])
    try:
        deadline = time.monotonic() + 600
        while (crashed := _second_process_of("a", tmp_path)) is None:
            assert time.monotonic() < deadline
            assert started.poll() is None, started.communicate()[0]
            time.sleep(0.05)
        os.kill(crashed, signal.SIGKILL)
        printed, _ = started.communicate(timeout=900)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
    records = _records(tmp_path)
    assert records["a"]["status"] != "finished", printed
    assert records["b"]["status"] == "finished", printed
    assert records["b"]["identity"]["processes"] == 2  # type: ignore[index]
    assert printed.count("cell 2/2") == 1, "one of them plans"
    assert not list(tmp_path.glob("cells/voc_c4/b-*/iter_*.pth"))


@pytest.mark.slow
def test_the_record_tells_the_cause_whichever_process_met_it(devkit: Path, tmp_path: Path) -> None:
    """An image that breaks off ends one process; the other only loses its neighbour."""
    root = tmp_path / "data"
    shutil.copytree(devkit, root)
    for name in (root / "VOC2007" / "ImageSets" / "Main" / "trainval.txt").read_text().split():
        path = root / "VOC2007" / "JPEGImages" / f"{name}.jpg"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    started = _start([*miniature("a=random", data_root=root, output=tmp_path / "runs"), *QUICK_KEYS])
    printed, _ = started.communicate(timeout=900)
    record = _records(tmp_path / "runs")["a"]
    assert record["status"] == "failed", printed
    assert "JPEGImages" in str(record["error"]), printed
    assert "Connection" not in str(record["error"]), printed
