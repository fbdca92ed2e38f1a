"""Shows which errors the detectors of a suite make and what each kind costs: every init side by side.

`transfer/evaluation/tide.py` finds them at the end of a cell; cells without its file are in no mean. All
kinds have one scale, so that what costs most is seen, and rows stand in the order of the whole page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from results.evidence.breakdown import NOTE, Part, corrected_together, parts_of
from results.report.dots import Dot, dot_chart
from results.report.html import DOUBTED, Toned, details, text_table
from results.report.shown import Shown
from results.run_files import read_errors
from results.tables.escape import html_text
from results.tables.lengths import interval_of
from results.tables.paired import LEVEL, Values
from results.tables.trials import Trials

KINDS = {
    "Cls": "class: well placed, wrong name",
    "Loc": "place: right name, overlap below 0.5",
    "Both": "both wrong",
    "Dupe": "twice: found already",
    "Bkg": "background taken for an object",
    "Miss": "missed: not found, and no wrong class or place is of it",
    "FP": "all false detections",
    "FN": "all objects not found",
}
TITLES = {"bbox": "boxes", "segm": "masks"}
STEPS = 4
MOST = 40  # classes shown of a set with more: those where an error costs the most
ABOUT = (
    "points of AP50 that each kind costs (TIDE, Bolya et al., ECCV 2020): AP50 with this kind alone mended, "
    "less AP50. Less is better; costs do not add up to what is missing. Means with 95 % intervals over trials"
)
CLASSES = "the kind that costs the most AP50 of the class, and its cost, as a mean over trials"

Found = Mapping[str, Mapping[str, Values]]  # row -> "AP50", "dAP/Cls", "count/Cls" ... -> (seed, value)
Parts = Mapping[str, Mapping[str, Part]]  # row -> kind -> its cost beside that of the reference


def errors(suite: str, shown: Shown) -> str:
    """A panel for each kind of error, and the numbers; empty where no cell has such a file."""
    read = {row.label: _of_row(row, shown) for row in shown.suites[suite]}
    made = ""
    for task, title in TITLES.items():
        found = {label: tasks[task] for label, tasks in read.items() if task in tasks}
        if found:
            made += f"<h4>{title}</h4>{_task(title, found, suite, shown)}"
    return f"<h3>Which errors are made</h3>{made}" if made else ""


def _of_row(row: Trials, shown: Shown) -> dict[str, dict[str, Values]]:
    """Task -> name -> the values of the row's finished trials, by seed."""
    made: dict[str, dict[str, Values]] = {}
    for record in row.finished:
        directory = shown.cells.get((row.suite, record["id"]))
        for task, numbers in (read_errors(directory) if directory else {}).items():
            of_task = made.setdefault(task, {})
            for name, value in numbers.items():
                of_task[name] = (*of_task.get(name, ()), (record["seed"], value))
    return made


def _task(title: str, found: Found, suite: str, shown: Shown) -> str:
    gaps = [gap for gap in shown.gaps[suite] if {gap.row, gap.against} <= found.keys()]
    parts = corrected_together(
        {
            gap.row: parts_of(
                {
                    kind: tuple(found[row].get(f"dAP/{kind}", ()) for row in (gap.row, gap.against))
                    for kind in KINDS
                }
            )
            for gap in gaps
        }
    )
    doubted = {row.label: DOUBTED for row in shown.suites[suite] if row.doubted}
    dots = {kind: _dots(kind, found, parts, doubted) for kind in KINDS}
    ends = [end for of_kind in dots.values() for dot in of_kind for end in dot.ends or (dot.value,)]
    panels = "".join(
        f"<figure><figcaption><b>{kind}</b> {KINDS[kind]}</figcaption>"
        f"{dot_chart(of_kind, False, STEPS, [0.0, *ends])}</figure>"
        for kind, of_kind in dots.items()
        if of_kind
    )
    notes = [
        ABOUT,
        *_compared(parts, list(dict.fromkeys(gap.against for gap in gaps))),
        *_fewer(found, suite, shown),
    ]
    return (
        f'<div class="multiples errors">{panels}</div><p class="soft">{html_text("; ".join(notes))}</p>'
        f"{details(f'{title}: how many errors', _counts(found))}{_classes(title, found)}"
    )


def _dots(kind: str, found: Found, parts: Parts, doubted: Mapping[str, str]) -> list[Dot]:
    """Every row's mean cost of a kind; good where less of it is lost than by the reference."""
    dots = []
    for label, numbers in found.items():
        made = interval_of([value for _, value in numbers.get(f"dAP/{kind}", ())])
        if made is None:
            continue
        mean, half, n = made
        ends = (max(mean - half, 0.0), mean + half) if n > 1 else None  # no cost is below zero
        part = parts.get(label, {}).get(kind)
        tone = ""
        if part and part.p_holm is not None and part.p_holm < LEVEL:
            tone = "good" if part.found.gap < 0 else "bad"
        gain = f" ({part.gain.removesuffix(' ns')})" if part else ""
        dots.append(Dot(label, mean, ends, f"{mean:.1f}{gain}{doubted.get(label, '')}", tone))
    return dots


def _compared(parts: Parts, references: Sequence[str]) -> list[str]:
    """The words on the differences in brackets and on their tests; none without a reference."""
    every = [part for of_row in parts.values() for part in of_row.values()]
    tested = [part for part in every if part.p_holm is not None]
    if not every:
        return []
    said = f"in brackets the difference to {' or '.join(references)}"
    tests = " or ".join(dict.fromkeys(part.found.test for part in tested if part.found.test))
    return [f"{said}; coloured: p < 0.05; {NOTE.format(n=len(tested))}: {tests}" if tested else said]


def _fewer(found: Found, suite: str, shown: Shown) -> list[str]:
    """The rows that not all finished trials of have the file."""
    counts = {label: len(numbers.get("AP50", ())) for label, numbers in found.items()}
    fewer = [
        f"{row.label}: {counts.get(row.label, 0)} of {len(row.finished)} trials"
        for row in shown.suites[suite]
        if counts.get(row.label, 0) < len(row.finished)
    ]
    return [f"errors are known of {', '.join(fewer)}"] if fewer else []


def _mean(values: Values) -> float | None:
    return sum(value for _, value in values) / len(values) if values else None


def _counts(found: Found) -> str:
    """How many errors of each kind, as means over trials; rows down."""
    lines: list[list[str | Toned]] = []
    for label, numbers in found.items():
        means = [_mean(numbers.get(name, ())) for name in ("AP50", *(f"count/{kind}" for kind in KINDS))]
        lines.append(
            [label, *("-" if mean is None else f"{mean:.{0 if n else 1}f}" for n, mean in enumerate(means))]
        )
    return text_table(["init", "AP50", *KINDS], lines, style="matrix")


def _classes(title: str, found: Found) -> str:
    """By class the kind that costs the most, a column a row."""
    costs: dict[str, dict[str, tuple[float, str]]] = {}  # class -> row -> (cost, kind)
    for label, numbers in found.items():
        for name, values in numbers.items():
            mark, _, rest = name.partition("/")
            kind, _, of_class = rest.partition("/")
            if mark == "class" and kind in KINDS and kind not in ("FP", "FN") and values:
                one = (sum(value for _, value in values) / len(values), kind)
                by_row = costs.setdefault(of_class, {})
                by_row[label] = max(by_row.get(label, one), one)
    names = sorted(costs, key=lambda name: -max(costs[name].values())[0])[:MOST]
    if not names:
        return ""
    lines = [
        [name, *(f"{cost[1]} {cost[0]:.1f}" if (cost := costs[name].get(label)) else "-" for label in found)]
        for name in names
    ]
    cut = f", {MOST} of {len(costs)}" if len(costs) > MOST else ""
    body = text_table(["class", *found], lines, style="matrix") + f'<p class="notes">{CLASSES}</p>'
    return details(f"{title}: what costs the most by class{cut}", body)
