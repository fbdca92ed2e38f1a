"""The process of a fake cell: it does what its job file says under "fake"; nothing heavy is imported."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from results.store import save_record


def finished(record: dict[str, Any]) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("init_manifest", "init_account", "data", "engine", "environment", "durations_s"), {}
    )
    times = {"started_at": "2026-01-01T00:00:00+00:00", "finished_at": "2026-01-01T00:00:01+00:00"}
    return record | empty | times | {"status": "finished", "metrics": {"bbox": {"AP": 1.0}}}


def main(path: Path) -> int:
    content = json.loads(path.read_text())
    record, output, fake = content["record"], Path(content["output"]), content["fake"]
    end = fake.get("end", "finished")
    stopped: list[int] = []
    if fake.get("saves", True):
        signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    began = time.time()  # before the record, by which others see that it runs
    save_record(record, output)
    print(fake.get("says", "hello"), file=sys.stderr, flush=True)
    while time.time() - began < fake.get("seconds", 0) and not stopped:
        if len(list(output.glob("records/*/*.json"))) >= fake.get("until", 10**9):
            break
        time.sleep(0.01)
    seen = {"gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "threads": os.environ.get("OMP_NUM_THREADS")}
    path.with_name("seen.json").write_text(json.dumps(seen | {"began": began, "ended": time.time()}))
    if stopped:
        save_record(record | {"status": "interrupted"}, output)
        return 143
    if isinstance(end, int):
        return end
    if end.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[end])
    save_record(finished(record) if end == "finished" else record | {"status": end, "error": "x"}, output)
    return {"finished": 0, "failed": 1}[end]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
