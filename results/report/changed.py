"""Shows what changed, not only how much: gaps by overlap, size, frequency and class to the reference row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from results.evidence.breakdown import (
    FREQUENCIES,
    NOTE,
    SIZES,
    Part,
    by_class,
    by_metric,
    corrected_together,
)
from results.report.html import Toned, details, text_table
from results.report.shown import Shown
from results.run_files import read_per_class
from results.tables.escape import html_text
from results.tables.paired import LEVEL
from results.tables.trials import Trials

# how exactly a box or mask must fit: what is gained at 0.75 alone was found before, and is better placed now
OVERLAPS = {"AP50": "AP50, overlap of 0.5", "AP75": "AP75, overlap of 0.75"}
CALIBRATION = {"ECE": "ECE of confidences, less is better"}
MOST = 40  # classes shown of a set with more: half of them gained the most, half the least
GAINS = "gaps to {against}, which has the means of the second column"
SEVERAL = "gaps to the row that each head names"

Pairs = Sequence[tuple[Trials, Trials]]  # rows, each with the one that it is held against
Made = Mapping[str, Mapping[str, Part]]  # head of a column -> name of the part -> part


def what_changed(suite: str, shown: Shown) -> str:
    """Tables of gaps, parts down and rows across; empty where nothing is compared or measured by part."""
    rows = {row.label: row for row in shown.suites[suite]}
    pairs = [(rows[gap.row], rows[gap.against]) for gap in shown.gaps[suite]]
    if not pairs:
        return ""
    body = _whole(shown.primary[suite].partition("/")[0], pairs)
    for name in _measured_by_class(suite, pairs, shown):
        body += _classes(name, pairs, shown)
    return f"<h3>What changed</h3>{body}" if body else ""


def _measured_by_class(suite: str, pairs: Pairs, shown: Shown) -> list[str]:
    """The metrics of which a cell of the first row has values by class."""
    for record in pairs[0][0].finished:
        directory = shown.cells.get((suite, record["id"]))
        if directory and (found := read_per_class(directory)):
            return list(found)
    return []


def _references(pairs: Pairs) -> list[str]:
    return list(dict.fromkeys(other.label for _, other in pairs))


def _head(pair: tuple[Trials, Trials], pairs: Pairs) -> str:
    """The row, and what it is held against where that is not the same for all."""
    ours, theirs = pair
    return ours.label if len(_references(pairs)) == 1 else f"{ours.label} to {theirs.label}"


def _whole(task: str, pairs: Pairs) -> str:
    kinds = {task: {**OVERLAPS, **SIZES, **FREQUENCIES}, "calib": CALIBRATION}
    made = corrected_together(
        {
            _head(pair, pairs): [part for name, of in kinds.items() for part in by_metric(*pair, name, of)]
            for pair in pairs
        }
    )
    names = list(dict.fromkeys(name for parts in made.values() for name in parts))
    return _table(made, names, _references(pairs)) if names else ""


def _classes(metric: str, pairs: Pairs, shown: Shown) -> str:
    """The classes by their mean gain over the rows; of many the first and the last."""
    made = corrected_together({_head(pair, pairs): by_class(*pair, metric, shown.cells) for pair in pairs})
    gained: dict[str, list[float]] = {}
    for parts in made.values():
        for name, part in parts.items():
            gained.setdefault(name, []).append(part.found.gap)
    names = sorted(gained, key=lambda name: -sum(gained[name]) / len(gained[name]))
    if not names:
        return ""
    title = f"{metric} by class: {len(names)} classes, the most gained first"
    if len(names) > MOST:
        names = names[: MOST // 2] + names[-MOST // 2 :]
        title += f"; the first and the last {MOST // 2}"
    return details(title, _table(made, names, _references(pairs)))


def _table(made: Made, names: Sequence[str], references: Sequence[str]) -> str:
    """Parts down, rows across, after the means of a single reference; rows without any part are left out."""
    shown = {label: parts for label, parts in made.items() if parts}
    lines: list[list[str | Toned]] = []
    one = references if len(references) == 1 else ()
    for name in names:
        found = [parts.get(name) for parts in shown.values()]
        theirs = next(part.theirs.mean for part in found if part)
        lines.append([name, *(f"{theirs:.1f}" for _ in one), *map(_field, found)])
    every = [part for parts in shown.values() for part in parts.values()]
    tested = sum(part.p_holm is not None for part in every)
    tests = " or ".join(dict.fromkeys(part.found.test for part in every if part.found.test))
    note = (GAINS.format(against=one[0]) if one else SEVERAL) + (
        f"; {NOTE.format(n=tested)}: {tests}" if tested else ""
    )
    return (
        text_table(["what", *one, *shown], lines, style="matrix") + f'<p class="notes">{html_text(note)}</p>'
    )


def _field(part: Part | None) -> str | Toned:
    if part is None:
        return "-"
    if part.p_holm is None or part.p_holm >= LEVEL:
        return part.gain
    lower = part.name in CALIBRATION.values()
    return Toned(part.gain, "good" if (part.found.gap > 0) != lower else "bad")
