"""Which of the complete networks in a file is the one that the field evaluates, and whose file it is."""

from __future__ import annotations

from dataclasses import dataclass

from converters.accounting import Account, account
from converters.candidates import find_candidates, tensor_sets
from converters.errors import CheckpointError
from converters.overrides import Overrides
from converters.reading import Opened
from converters.sources import BY_NAME, SOURCES, UNKNOWN, Source


@dataclass(frozen=True)
class Choice:
    account: Account
    row: Source
    role: str
    stride_in_1x1: bool
    notes: tuple[str, ...]


def choose(opened: Opened, source: str | None, encoder: str | None, wishes: Overrides) -> Choice:
    accounts = [account(c, t) for t in tensor_sets(opened.root) for c in find_candidates(t)]
    complete = [a for a in accounts if a.complete]
    if not complete:
        if not accounts:
            raise CheckpointError("no ResNet tensors found")
        raise CheckpointError(max(accounts, key=lambda a: a.score).difference())
    rows = [BY_NAME[source]] if source else SOURCES
    for row in rows:
        for layout in row.layouts:
            for a in complete:
                if (a.candidate.path, a.candidate.prefix) == (layout.path, layout.prefix) and (
                    layout.role == (encoder or row.encoder)
                ):
                    return Choice(a, row, layout.role, row.stride_in_1x1, ())
    if len(complete) == 1:
        return Choice(complete[0], UNKNOWN, "single", False, ())
    raise CheckpointError("several networks")
