"""Times the road from 10,000 records to all tables, import included, on one core: under 2 seconds.

    python -m benchmarks.perf.results [--records 10000] [--format md]

Writes the records to a temporary directory (not timed), then times a fresh process that reads them, groups
them, tests every row against the supervised one and prints a table for every suite and every table of the
papers. The best of several runs counts: the others measure the machine's other work.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT_S = 2.0
SUITES = [
    *("voc_c4", "voc_dc5", "voc07_c4", "coco_fpn_1x", "coco_fpn_2x", "coco_fpn_6x", "coco_c4_1x"),
    *("coco_c4_2x", "coco_keypoint", "lvis"),
]
TRIALS = 5
STAGES = """
import time; started = time.perf_counter()
import gc; gc.disable()  # as the command line does
from results.tables.formats import FORMATS
from results.tables.paper import paper_tables
from results.tables.published import load_published
from results.store import load_records
from results.tables.suite import build_suite_table
from results.tables.trials import group_trials
marks = {"import": time.perf_counter()}
records = load_records(DIRECTORY); marks["load"] = time.perf_counter()
groups, papers = group_trials(records), load_published(); marks["group"] = time.perf_counter()
tables = [build_suite_table(rows, suite, papers=papers) for suite, rows in groups.items()]
tables += paper_tables(papers, groups); marks["build"] = time.perf_counter()
text = FORMATS[FORMAT].write(tables); marks["print"] = time.perf_counter()
marks |= {"started": started, "records": len(records), "lines": text.count("\\n")}
import json; print(json.dumps(marks))
"""


def write_records(root: Path, count: int) -> None:
    """Writes `count` journalled records over suites, inits and trials, as large as a run's (about 6 kB)."""
    from results.journal import JOURNAL
    from results.record import record_id

    rng = random.Random(0)
    recipe = {f"MODEL.PART_{i // 10}.KEY_{i}": [480, 800, i] if i % 5 == 0 else i * 0.5 for i in range(120)}
    names = ["random", "supervised", *(f"init{i}" for i in range(count // (len(SUITES) * TRIALS) - 2))]
    journal = []
    for suite in SUITES:
        (root / "records" / suite).mkdir(parents=True)
        for init in names:
            for trial in range(TRIALS):
                record = _record(suite, init, trial, recipe, rng)
                record["id"] = record_id(record["identity"])
                path = root / "records" / suite / f"{record['id']}.json"
                content = json.dumps(record, indent=1).encode()
                path.write_bytes(content)
                entry = {"suite": suite, "id": record["id"], "init": init, "trial": trial}
                journal.append({**entry, "sha256": hashlib.sha256(content).hexdigest()})
    (root / JOURNAL).write_text("".join(json.dumps(entry) + "\n" for entry in journal), encoding="utf-8")


def _record(suite: str, init: str, trial: int, recipe: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A finished record with random metrics, without its id."""
    identity = {
        "suite": suite,
        "suite_version": 1,
        "recipe_sha256": "5" * 64,
        "backbone_sha256": f"weights of {init}",
        "data_sha256": "d" * 64,
        "engine": "torchvision",
        "engine_version": "0.29.2",
        "seed": trial,
    }
    values = {name: rng.gauss(50, 1) for name in ("AP", "AP50", "AP75", "APs", "APm", "APl")}
    return {
        "schema": 1,
        "id": "",
        "identity": identity,
        "suite": suite,
        "init": init,
        "trial": trial,
        "seed": trial,
        "status": "finished",
        "comparable": True,
        "not_comparable_because": [],
        "metrics": {"bbox": values, "segm": values, "keypoints": values},
        "primary": "bbox/AP",
        "recipe": recipe,
        "overrides": [],
        "init_manifest": {"source": init},
        "data": {},
        "init_account": {"set": 318, "total": 318, "fresh": [], "dropped": []},
        "engine": {"name": "torchvision", "version": "0.29.2"},
        "environment": {"python": "3.11"},
        "durations_s": {"train": 1.0},
        "images_per_s": 1.0,
        "peak_memory_bytes": 1,
        "error": None,
        "started_at": "2026-01-01T00:00:00Z",
        "finished_at": "2026-01-01T01:00:00Z",
    }


def measure(root: Path, format: str) -> dict[str, float]:
    """Seconds of one fresh process: "total" from its start to its end, "cpu" of it, and the stages."""
    code = STAGES.replace("DIRECTORY", repr(str(root))).replace("FORMAT]", f"{format!r}]")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    output = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=one_core())
    total = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    marks = json.loads(output)
    previous, stages = marks["started"], {"total": total, "cpu": cpu}
    for name in ("import", "load", "group", "build", "print"):
        stages[name] = marks[name] - previous
        previous = marks[name]
    return {**stages, "records": marks["records"], "lines": marks["lines"]}


def one_core() -> dict[str, str]:
    """The environment of the measured process: no threads of numerical libraries."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def main() -> int:
    """Prints the measurement; exit code 1 above the limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=10_000, help="(10000)")
    parser.add_argument("--format", default="md", help="(md)")
    parser.add_argument("--repeat", type=int, default=5, help="(5)")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # inherited by the measured process
    with tempfile.TemporaryDirectory() as directory:
        write_records(Path(directory), args.records)
        runs = [measure(Path(directory), args.format) for _ in range(args.repeat)]
    best = min(runs, key=lambda run: run["total"])
    print(
        f"{best['records']:.0f} records, {best['lines']:.0f} lines of {args.format}, best of {args.repeat}:"
    )
    for name in ("import", "load", "group", "build", "print", "total", "cpu"):
        print(f"  {name:7} {best[name]:6.2f} s")
    totals = ", ".join(f"{run['total']:.2f}" for run in runs)
    print(f"  all runs: {totals} s; limit {LIMIT_S} s")
    return 0 if best["total"] < LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
