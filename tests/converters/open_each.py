"""Opens every file of a folder and prints what happened, processor seconds and memory growth as JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from converters.convert import open_checkpoint
from converters.errors import CheckpointError


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


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
