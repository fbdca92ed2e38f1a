"""Gathers one number of every row on every data set: of our records, or of a published table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from results.errors import RecordError
from results.tables.cell import less_is_better
from results.tables.columns import SPREAD
from results.tables.published import WORDS, PublishedRow
from results.tables.suite import of_several_networks
from results.tables.trials import Trials

LEAST_ROWS, LEAST_SETS = 2, 2


@dataclass(frozen=True)
class Scores:
    """`values`, (k rows, N sets), more is better; `remarks`: what was left out, and what must be known.

    `what`: what the sets are, in words: the suites of records, or the data sets of a published table.
    """

    rows: tuple[str, ...]
    sets: tuple[str, ...]
    values: np.ndarray
    remarks: tuple[str, ...] = ()
    what: str = "suites"


def our_scores(suites: Mapping[str, Sequence[Trials]], only: Sequence[str] | None = None) -> Scores:
    """Means of the primary metric of every row on every suite that all rows have; `only`: labels or inits.

    RecordError: fewer than two rows or suites are left.
    """
    found: dict[str, dict[str, float]] = {}
    tested: dict[str, list[str]] = {}  # test set -> suites
    remarks: dict[str, None] = {}
    for suite, rows in suites.items():
        primary = rows[0].records[0]["primary"]
        if primary.startswith(SPREAD):  # RankMe and norms see how features spread, not what for
            remarks[f"{suite} is left out: {primary} is shown, and nothing is ranked by it"] = None
            continue
        if less_is_better(primary):
            remarks[f"{suite} is left out: less is better in {primary}, and no mean goes over both"] = None
            continue
        wanted = [row for row in rows if not only or row.label in only or row.init in only]
        taken = [row for row in wanted if not row.unranked]
        for row in wanted:
            if row.unranked:
                remarks[f"{suite}: {row.label} is left out: {row.unranked}"] = None
        for row in taken:
            if (summary := row.summary(primary)) is not None:
                found.setdefault(row.label, {})[f"{suite} {primary}"] = summary.mean
            remarks |= dict.fromkeys(f"{row.label}: {doubt}" for doubt in row.doubts)
        name = str((taken[0].records[0]["data"].get("test") or {}).get("name", "")) if taken else ""
        if name:
            tested.setdefault(name, []).append(suite)
        odd = [row.label for row in taken[1:] if row.differs_from(taken[0])]
        if odd:
            remarks[f"{suite}: {', '.join(odd)}: not of the recipe, data or engine of {taken[0].label}"] = (
                None
            )
    for name, several in tested.items():
        if len(several) > 1:
            of_one = f"{', '.join(several)} are tested on {name} alike"
            remarks[f"{of_one}: they are not independent, and p is too small"] = None
    missing = [name for name in only or () if not any(_named(label, name) for label in found)]
    if missing:
        raise RecordError(f"no row {missing[0]!r} with a number; there are {', '.join(found) or 'none'}")
    return _common(found, list(remarks))


def _named(label: str, name: str) -> bool:
    return label == name or label.startswith(f"{name} [")


def published_scores(papers: Sequence[PublishedRow], table: str) -> Scores:
    """The rows of one published table; its printed means are no data set. RecordError: no such table."""
    mine = [row for row in papers if row.table == table]
    if not mine:
        known = ", ".join(dict.fromkeys(row.table for row in papers))
        raise RecordError(f"no published table {table!r}; there are {known}")
    several = of_several_networks(mine)
    schedules = Counter(init for init, _, _ in {(row.init, row.arch, row.schedule) for row in mine})
    found: dict[str, dict[str, float]] = {}
    for row in mine:
        label = f"{row.init}, {row.arch}" if row.init in several else row.init
        if schedules[row.init] > 1 and row.schedule:
            label += f", {row.schedule}"
        numbers = {m: v for m, v in row.values.items() if not m.endswith("/mean") and v not in WORDS}
        for metric, value in [*numbers.items()][:1]:  # others of a suite are no further data sets
            found.setdefault(label, {}).setdefault(f"{row.suite} {metric}", float(value))
    sources = dict.fromkeys(row.source for row in mine)
    return _common(found, [f"published numbers: {', '.join(sources)}"], "data sets")


def _common(found: Mapping[str, Mapping[str, float]], remarks: list[str], what: str = Scores.what) -> Scores:
    """The sets that all rows have: a mean over different sets would compare nothing."""
    every = dict.fromkeys(name for values in found.values() for name in values)
    sets = [name for name in every if all(name in values for values in found.values())]
    for name in every:
        lacking = [label for label, values in found.items() if name not in values]
        if lacking:
            remarks.append(f"{name} is left out: no number of {', '.join(lacking)}")
    if len(found) < LEAST_ROWS or len(sets) < LEAST_SETS:
        raise RecordError(
            f"{len(found)} rows have {len(sets)} {what} in common; expected at least {LEAST_ROWS} and "
            f"{LEAST_SETS}: name rows with --rows, or suites with --suite"
        )
    values = np.array([[found[label][name] for name in sets] for label in found])
    return Scores(tuple(found), tuple(sets), values, tuple(remarks), what)
