"""Defines a finding: what the doctor saw, how bad it is, and the fix."""

from __future__ import annotations

from dataclasses import dataclass

OK, NOTE, PROBLEM = "ok", "note", "PROBLEM"


@dataclass(frozen=True)
class Finding:
    """A line of the doctor. `note`: something optional is absent; `PROBLEM`: something needed is broken."""

    level: str
    what: str
    fix: str = ""
