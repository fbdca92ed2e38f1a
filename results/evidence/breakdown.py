"""Tells where a row gained on another: by size, by frequency and by class, with intervals over seeds.

Values per class are in files beside the records (cells/.../per_class.json), those per size in the records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from results.run_files import read_per_class
from results.tables.cell import STARS, signed
from results.tables.paired import Difference, Values, difference, holm
from results.tables.significance import Summary, summarize
from results.tables.trials import Trials

SIZES = {"APs": "APs, small objects", "APm": "APm, medium objects", "APl": "APl, large objects"}
# of LVIS: classes in 1 to 10, in 11 to 100 and in more images of the training set (Gupta et al., CVPR 2019)
FREQUENCIES = {"APr": "APr, rare classes", "APc": "APc, common classes", "APf": "APf, frequent classes"}
NOTE = "stars: * p < 0.05, ** p < 0.01 by the test named, corrected for the {n} tested lines (Holm)"

Cells = Mapping[tuple[str, str], Path]  # (suite, record id) -> directory


@dataclass(frozen=True)
class Part:
    """One class or size: the means of both rows and their difference."""

    name: str
    ours: Summary
    theirs: Summary
    found: Difference
    p_holm: float | None = None

    @property
    def gain(self) -> str:
        """The difference with its stars: "+1.2*", "+0.3 ns", "+0.3" without a test."""
        stars = next((stars for limit, stars in STARS if (self.p_holm or 0) < limit), " ns")
        return signed(self.found.gap) + ("" if self.p_holm is None else stars)


def breakdowns(ours: Trials, theirs: Trials, metric: str, cells: Cells) -> dict[str, list[Part]]:
    """The gains by size, frequency and class, where both rows have values; `metric` is a flat name."""
    task = metric.partition("/")[0]
    found = {
        f"{task}/AP by size": by_metric(ours, theirs, task, SIZES),
        f"{task}/AP by frequency": by_metric(ours, theirs, task, FREQUENCIES),
        f"{metric} by class": by_class(ours, theirs, metric, cells),
    }
    return {words: parts for words, parts in found.items() if parts}


def by_metric(ours: Trials, theirs: Trials, task: str, names: Mapping[str, str]) -> list[Part]:
    """The metrics of a task that both rows have values of; `names`: metric -> the words for it."""
    values = {
        words: (ours.values(f"{task}/{name}"), theirs.values(f"{task}/{name}"))
        for name, words in names.items()
    }
    return corrected(parts_of(values))


def by_class(ours: Trials, theirs: Trials, metric: str, cells: Cells) -> list[Part]:
    """The classes that both rows have values of, the greatest gain first."""
    mine, others = _class_values(ours, metric, cells), _class_values(theirs, metric, cells)
    parts = parts_of({name: (values, others.get(name, ())) for name, values in mine.items()})
    return sorted(corrected(parts), key=lambda part: -part.found.gap)


def _class_values(row: Trials, metric: str, cells: Cells) -> dict[str, Values]:
    found: dict[str, Values] = {}
    for record in row.finished:
        directory = cells.get((row.suite, record["id"]))
        classes = read_per_class(directory).get(metric, {}) if directory else {}
        for name, value in classes.items():
            if value is not None:
                found[name] = (*found.get(name, ()), (record["seed"], value))
    return found


def parts_of(values: Mapping[str, tuple[Values, ...]]) -> list[Part]:
    """The parts of which both rows have values, (ours, theirs), by name; not corrected."""
    return [
        Part(name, summarize([v for _, v in a]), summarize([v for _, v in b]), difference(a, b))
        for name, (a, b) in values.items()
        if a and b
    ]


def corrected(parts: Sequence[Part]) -> list[Part]:
    """The parts with their p-values corrected for the number of the tested ones among them."""
    p_values = holm([part.found.p for part in parts])
    return [replace(part, p_holm=p) for part, p in zip(parts, p_values, strict=True)]


def corrected_together(rows: Mapping[str, Sequence[Part]]) -> dict[str, dict[str, Part]]:
    """Row -> name -> part of one table, with p-values corrected for all its tested parts."""
    every = iter(corrected([part for parts in rows.values() for part in parts]))
    return {label: {part.name: next(every) for part in parts} for label, parts in rows.items()}
