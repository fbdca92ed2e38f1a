"""Prints comparisons, classes and sizes as lines for the terminal or as tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from converters.options import visible
from results.evidence.breakdown import NOTE, Part, breakdowns, corrected_together
from results.evidence.compare import (
    FLIP,
    HEADS,
    HOLM,
    INTERVAL,
    Compared,
    find_row,
    interval_text,
    p_number,
    summary_text,
)
from results.run_files import cell_directories
from results.tables.compared import INTERVAL as OF_IMAGES
from results.tables.compared import SEES
from results.tables.grid import Table
from results.tables.markdown import md_block
from results.tables.suite import EMULATED
from results.tables.trials import Trials

GAINS = "mean ± standard deviation of {against} (trials), then gains on it with their 95 % intervals"
PART_HEADS = ["what", "n", "{0}", "{1}", "gap", "95 % interval", "test", "p (Holm)"]


def marked(label: str, rows: Iterable[Trials], marks: Table) -> str:
    """The label with the marks of what must be known: doubts, a file for each trial, why not comparable."""
    known = [
        text
        for row in rows
        for text in (
            *row.doubts,
            row.pretrainings,
            EMULATED.format(formats=row.emulated) if row.emulated else "",
            *(f"not comparable with published numbers: {why}" for why in row.reasons),
        )
    ]
    found = dict.fromkeys(map(marks.note, filter(None, known)))
    return f"{label} ({' '.join(found)})" if found else label


def comparison(lines: Sequence[Compared], format: str, title: str = "") -> str:
    """The lines, then what to mind and what the numbers are; `format`: "term" or "md"."""
    marks = Table("", [], [])
    against = " or ".join(dict.fromkeys(line.labels[1] for line in lines))
    marked = [[marks.note(remark) for remark in line.remarks] for line in lines]
    tested = sum(line.found.p is not None for line in lines)
    notes = [f"({mark}) {text}" for mark, text in marks.notes.items()]
    if tested:
        notes += [INTERVAL, *([HOLM.format(n=tested)] if tested > 1 else [])]
    notes += [OF_IMAGES] if any(ends for line in lines for ends in line.ends) else []
    notes += [SEES] if any(line.found.over for line in lines) else []
    if any(line.flip is not None for line in lines):
        notes.append(FLIP)
    if format == "term":
        said = [line.text + (f" ({' '.join(m)})" if m else "") for line, m in zip(lines, marked, strict=True)]
        return "".join(visible(line) + "\n" for line in [*said, *(f"  {note}" for note in notes)])
    rows = []
    for line, m in zip(lines, marked, strict=True):
        suite, metric, label, *rest = line.fields
        rows.append([suite, metric, f"{label} ({' '.join(m)})" if m else label, *rest])
    heads = [head.format(against=against) for head in HEADS]
    return md_block(title or f"Differences to {against}", *_narrowed(heads, rows, notes, against))


def _narrowed(
    heads: list[str], rows: list[list[str]], notes: list[str], against: str
) -> tuple[list[str], list[list[str]], list[str]]:
    """The table without columns that say one thing in all lines: a head or a note says it instead."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    row, test, p, p_holm = (HEADS.index(head) for head in ("row", "test", "p", "p (Holm)"))
    left_out = {p_holm} if columns[p_holm] == columns[p] else set()
    if len(set(columns[row])) == 1:
        heads[row + 1 : row + 3] = [columns[row][0], against]
        left_out.add(row)
    if len(set(columns[test])) == 1 and columns[test][0] != "-":
        notes = [f"test, two-sided: {columns[test][0]}", *notes]
        left_out.add(test)
    left_out |= {i for i, column in enumerate(columns) if set(column) == {"-"}}
    kept = [i for i in range(len(heads)) if i not in left_out]
    return [heads[i] for i in kept], [[line[i] for i in kept] for line in rows], notes


def parts(
    lines: Sequence[Compared],
    groups: Mapping[str, Sequence[Trials]],
    names: tuple[str, str],
    directory: Path,
    format: str,
) -> list[str]:
    """For each line its sizes and its classes, where there are values of them."""
    cells = cell_directories(directory)
    found = []
    for line in lines:
        ours, theirs = (find_row(groups[line.suite], name, line.suite) for name in names)
        if ours is not None and theirs is not None:
            for words, made in breakdowns(ours, theirs, line.metric, cells).items():
                title = f"{line.suite}, {words}: {ours.label} - {theirs.label}"
                found.append(part_table(title, (ours.label, theirs.label), made, format, line.remarks))
    return found


def gain_matrix(
    title: str,
    against: str,
    rows: Mapping[str, Sequence[Part]],
    columns: Mapping[str, str],
    marks: Sequence[str] = (),
) -> str:
    """The gains of several rows on one, in Markdown: parts down, rows across; corrected over all of `rows`.

    `columns`: the heads of those that are shown. `marks`: their footnotes.
    """
    every = corrected_together(rows)
    made = {head: every[label] for label, head in columns.items() if label in every}
    lines = []
    for name in dict.fromkeys(name for parts in made.values() for name in parts):
        theirs = next(parts[name].theirs for parts in made.values() if name in parts)
        gains = [
            f"{part.gain} {interval_text(part.found)}" if part else "-"
            for part in (parts.get(name) for parts in made.values())
        ]
        lines.append([name, summary_text(theirs), *gains])
    tested = sum(part.p_holm is not None for parts in every.values() for part in parts.values())
    tests = dict.fromkeys(p.found.test for parts in made.values() for p in parts.values() if p.found.test)
    notes = [*marks, GAINS.format(against=against)]
    notes += [f"{NOTE.format(n=tested)}: {', '.join(tests)}"] if tested else []
    return md_block(title, ["what", against, *made], lines, notes)


def part_table(
    title: str, labels: tuple[str, str], made: Sequence[Part], format: str, remarks: Sequence[str]
) -> str:
    """The parts of one comparison, a gap with its stars; then what must be known of the two rows."""
    tested = sum(part.p_holm is not None for part in made)
    notes = [NOTE.format(n=tested) if tested else "not tested: fewer than 2 trials or no spread", *remarks]
    if format == "term":
        said = [f"  {part.name}: {part.gain} {interval_text(part.found)}" for part in made]
        return "".join(visible(text) + "\n" for text in [title, *said, *(f"  {note}" for note in notes)])
    rows = [
        [
            *(part.name, str(part.ours.n), summary_text(part.ours), summary_text(part.theirs)),
            *(part.gain, interval_text(part.found), part.found.test or "-"),
            p_number(part.p_holm),
        ]
        for part in made
    ]
    return md_block(title, [head.format(*labels) for head in PART_HEADS], rows, notes)
