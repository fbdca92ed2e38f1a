"""A writer of test_concurrency, a process of its own: saves records FIRST to LAST and prints each number.

python -m tests.results.writer ROOT WRITER FIRST LAST
"""

from __future__ import annotations

import sys

from results.store import save_record
from tests.results.conftest import build_record


def make(writer: int, number: int, status: str = "finished") -> dict[str, object]:
    """The record that this writer saves under this number; every fourth is a cell that all writers share."""
    if number % 4 == 0:
        return build_record("shared", number, ap=50.0, suite="suite_shared", status=status)
    return build_record(
        f"writer{writer}", number, ap=float(number), suite=f"suite{writer % 5}", status=status
    )


if __name__ == "__main__":
    root, writer, first, last = sys.argv[1], *map(int, sys.argv[2:5])
    for number in range(first, last):
        if number % 4 == 1:  # as a run does: the record of a begun cell is replaced when it has finished
            save_record(make(writer, number, "running"), root)
        save_record(make(writer, number), root)
        # one small write: whole in the pipe, or not there
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
