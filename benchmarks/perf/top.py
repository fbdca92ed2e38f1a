"""Times a refresh of `python -m benchmarks.top` over a made-up grid, beside reading its records once.

    python -m benchmarks.perf.top --cells 1000

Three parts: the first look, which reads everything; the next, when one record in a hundred has changed; and
`results.store.load_records`, which every table begins with, as the baseline.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.launch.standing import Grid
from benchmarks.top import lines
from results.record import record_id
from results.store import load_records, record_files

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference" / "pretrained_against_random"
STATES = ("running", "failed", "finished", "interrupted", "waiting")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cells", type=int, default=1000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_grid(root, args.cells)
        grid = Grid(root)
        baseline = timed(lambda: load_records(root))
        print(f"{args.cells} cells; records read once by results: {1000 * baseline:.0f} ms")
        for title in ("first look", "next look"):
            seconds = timed(lambda: lines(grid.look(), 50))
            print(f"{title}: {1000 * seconds:.0f} ms, {seconds / baseline:.2f} of it")
            for path in record_files(root)[::100]:
                Path(path).touch()


def make_grid(root: Path, cells: int) -> None:
    """Writes job files, logs and records in all states, cut from a record of the studies."""
    whole = load_records(REFERENCE)[0]
    for number in range(cells):
        record = copy.deepcopy(whole)
        record["seed"] = record["trial"] = record["identity"]["seed"] = number
        record["id"] = record_id(record["identity"])
        state = STATES[number % len(STATES)]
        directory = root / "cells" / record["suite"] / f"row-{record['id']}"
        directory.mkdir(parents=True)
        (directory / "job.json").write_text(json.dumps({"record": record}))
        entries = ({"iteration": i, "total_loss": 1.0, "lr": 0.1, "time_s": i} for i in range(0, 9000, 20))
        (directory / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        if state != "waiting":
            record["status"] = state
            if state != "finished":
                record |= {"metrics": {}, "error": "no room" if state == "failed" else None}
            path = root / "records" / record["suite"] / f"{record['id']}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record))


def timed(work: Callable[[], object]) -> float:
    """Processor seconds of one call: the clock of a busy machine tells of others."""
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
