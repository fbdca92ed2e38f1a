"""A grid that is killed twice and started again, against one that nobody touched.

    python -m tests.benchmarks.grid [--launcher local|slurm] [--jobs N] [--output DIR]

runs the whole acceptance: three suites x random, moco x 3 trials in miniature. The tests run a smaller one.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.benchmarks.command_line import QUICK_KEYS, miniature, start
from tests.conftest import ROOT

SUITES = ("voc_c4", "coco_fpn_1x", "voc_semantic")
PATIENCE_S = 1800


class Grid:
    """One command line and its output directory."""

    def __init__(self, output: Path, options: Sequence[str]):
        self.output = output
        self.words = [*options, "--output", str(output), *QUICK_KEYS]

    def start(self) -> subprocess.Popen[str]:
        """Starts the command, its words in a file (a pipe would die with its reader)."""
        self.output.mkdir(parents=True, exist_ok=True)
        with (self.output / "parent.log").open("a") as log:
            return start(self.words, stdout=log, stderr=log)

    def finish(self) -> int:
        """Runs the command to its end; returns its exit code."""
        return self.start().wait(timeout=PATIENCE_S)

    def said(self) -> str:
        return (self.output / "parent.log").read_text()

    def records(self) -> dict[str, dict]:
        files = self.output.glob("records/*/*.json")
        return {record["id"]: record for record in map(json.loads, map(Path.read_text, files))}

    def journal(self) -> list[dict]:
        path = self.output / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def count(self, status: str) -> int:
        return sum(record["status"] == status for record in self.records().values())

    def cells(self) -> dict[str, int]:
        """Job file -> process of the cells that run."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().decode().split("\0")
            except OSError:
                continue
            if "benchmarks.cell" in words and words[3].startswith(str(self.output)):
                found[words[3]] = int(entry.parent.name)
        return found

    def all_training(self) -> set[int]:
        """The processes that are in their training loop."""
        found = set()
        for job, process in self.cells().items():
            log = Path(job).with_name("log.jsonl")
            if log.exists() and log.stat().st_size and not log.with_name("model_final.pth").exists():
                found.add(process)
        return found

    def training(self, but: Iterable[int] = ()) -> int | None:
        """One of them that is not in `but`."""
        return next(iter(self.all_training().difference(but)), None)

    def models(self) -> dict[str, str]:
        """Cell -> hash of its tuned weights."""
        files = self.output.glob("cells/*/*/model_final.pth")
        return {file.parent.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    def table(self) -> str:
        """The tables of the records as they would be published."""
        command = [sys.executable, "-m", "results", "table", str(self.output), "--format", "csv"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def wait_for(condition: Callable[[], object], parent: subprocess.Popen[str]) -> None:
    """Waits until the condition holds or the parent has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition() and parent.poll() is None:
        assert time.monotonic() < deadline, "the grid does not move"
        time.sleep(0.05)


def hold(grid: Grid, parent: subprocess.Popen[str], but: Iterable[int] = ()) -> int:
    """Stops one cell in the midst of its training (SIGSTOP) and returns its process.

    A miniature trains for a second: without this it could end before what is done to it.
    """
    while True:
        wait_for(lambda: grid.training(but), parent)
        assert parent.poll() is None, grid.said()
        process = grid.training(but)
        if process is None:
            continue
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGSTOP)
            if process in grid.all_training():
                return process
            os.kill(process, signal.SIGCONT)


def kill_twice(grid: Grid, finished: int = 1) -> list[int]:
    """Sends SIGKILL to the parent behind the first `finished` cells, then to one cell of its successor.

    Returns the exit codes of the calls that followed.
    """
    parent = grid.start()
    wait_for(lambda: grid.count("finished") >= finished, parent)
    held = hold(grid, parent)
    assert parent.poll() is None, grid.said()
    orphans = list(grid.cells().values())
    parent.kill()
    parent.wait()
    # on this machine cells save and go when they lose their parent; those of a cluster stay
    on_cluster = "slurm" in grid.command
    if not on_cluster:
        os.kill(held, signal.SIGCONT)

    parent = grid.start()
    if on_cluster:
        wait_for(lambda: "queued or running already" in grid.said(), parent)
    else:
        held = hold(grid, parent, orphans)
    os.kill(held, signal.SIGKILL)
    codes = [parent.wait(timeout=PATIENCE_S), grid.finish()]
    assert codes == [1, 0], (codes, grid.said())
    return codes


def check(killed: Grid, whole: Grid, cells: int) -> None:
    """Asserts that all cells finished, none twice or after its end, with the same numbers and table."""
    records, others = killed.records(), whole.records()
    assert len(records) == cells
    assert set(records) == set(others)
    for id, record in records.items():
        assert record["status"] == "finished", record
        assert record["metrics"] == others[id]["metrics"]
    assert killed.models() == whole.models()
    finished = Counter(entry["id"] for entry in killed.journal() if entry["status"] == "finished")
    assert finished == dict.fromkeys(records, 1), "a cell ran twice"
    last = {entry["id"]: entry["status"] for entry in killed.journal()}
    assert set(last.values()) == {"finished"}
    assert killed.table() == whole.table()
    assert not killed.cells(), "processes left behind"


def main() -> int:
    """Runs the acceptance at full size; prints what was seen."""
    from tests.conftest import narrow_backbone_file
    from transfer.datasets.synthetic.make import make_synthetic

    parser = argparse.ArgumentParser()
    parser.add_argument("--launcher", default="local")
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--suites", nargs="+", default=SUITES)
    parser.add_argument("--trials", default=3, type=int)
    parser.add_argument("--output", type=Path, default=None)
    args = parser.parse_args()
    root = args.output or Path(tempfile.mkdtemp())
    backbone = narrow_backbone_file(root / "narrow.pkl")
    names = ["voc_2007_trainval", "voc_2012_trainval", "voc_2007_test", "coco_2017_train", "coco_2017_val"]
    names += ["voc_2012_sem_seg_train_aug", "voc_2012_sem_seg_val"]
    make_synthetic(names, root / "data", train_images=8, test_images=4, image_size=64)
    common = miniature("random", f"moco={backbone}", suite=args.suites, data_root=root / "data")
    common += ["--trials", str(args.trials)]
    whole = Grid(root / "whole", [*common, "--jobs", args.jobs])
    killed = Grid(root / "killed", [*common, "--jobs", args.jobs, "--launcher", args.launcher])
    began = time.monotonic()
    assert whole.finish() == 0, whole.said()
    middle = time.monotonic()
    codes = kill_twice(killed)
    check(killed, whole, len(args.suites) * 2 * args.trials)
    starts = Counter(entry["id"] for entry in killed.journal() if entry["status"] == "running")
    print(f"uninterrupted {middle - began:.0f} s, killed twice {time.monotonic() - middle:.0f} s")
    print(f"cells {len(killed.records())}, all finished, each once; exit codes after the kills {codes}")
    print(f"starts a cell: {dict(Counter(starts.values()))}; tables equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
