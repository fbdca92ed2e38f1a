"""Reads what a user says of names elsewhere: which model repository a row is, which benchmark a suite is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from results.errors import RecordError

_REPOSITORY = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"


def pairs(words: Sequence[str], option: str, form: str) -> dict[str, str]:
    """{"moco": "owner/name"} of NAME=VALUE words. RecordError: another form, name or repository twice."""
    pattern = re.compile({"OWNER/NAME": _REPOSITORY, "OWNER/DATASET:TASK": rf"{_REPOSITORY}:[\w.-]+"}[form])
    found: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        if not name or not pattern.fullmatch(value):
            raise RecordError(f"{option} {word}: expected NAME={form}")
        if name in found:
            raise RecordError(f"{option} {word}: {name} is given twice; keep one")
        if form == "OWNER/NAME" and value.casefold() in map(str.casefold, found.values()):
            raise RecordError(
                f"{option} {word}: {value} is given twice; a repository is of one init, keep one"
            )
        found[name] = value
    return found


def plain(text: str) -> str:
    """The text as one part of a path on any disk."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._") or "unknown"
