"""Opens every file of a folder and prints what happened, processor seconds and memory growth as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from converters.convert import open_checkpoint
from converters.errors import CheckpointError


def peak_mb() -> float:
    """This process's own peak: getrusage would start at that of the test run, which it inherits."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def main(folder: Path) -> None:
    results = []
    for path in sorted(folder.iterdir()):
        before, start = peak_mb(), time.process_time()
        try:
            open_checkpoint(path)
            outcome = "accepted"
        except CheckpointError as error:
            outcome = str(error)[:300]
        seconds = time.process_time() - start
        results.append({"seconds": seconds, "growth_mb": peak_mb() - before, "outcome": outcome})
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
