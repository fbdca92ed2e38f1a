"""Reads a time limit in Slurm's notation.

Slurm would read it itself, but only after the plan, and the warning before the limit must fit into it.
"""

from __future__ import annotations

import re

from benchmarks.errors import UsageError

_TIME = re.compile(r"(?:(?P<d>\d+)-)?(?P<a>\d+)(?::(?P<b>\d+))?(?::(?P<c>\d+))?")


def minutes(text: str) -> int:
    """Minutes, rounded up, of m, m:s, h:m:s, d-h, d-h:m or d-h:m:s; UsageError for anything else."""
    found = _TIME.fullmatch(text)
    if not found:
        raise UsageError(f"--time {text}: expected minutes, hours:minutes:seconds or days-hours")
    days, *parts = (int(found[name]) if found[name] else None for name in "dabc")
    given = [part for part in parts if part is not None]
    if days is not None:
        h, m, s = (given + [0, 0])[:3]
    elif len(given) == 3:
        h, m, s = given
    else:
        h, m, s = 0, given[0], (given + [0])[1]
    total = ((days or 0) * 24 + h) * 60 + m + (s > 0)
    if total < 1:
        raise UsageError(f"--time {text}: expected at least a minute")
    return total
