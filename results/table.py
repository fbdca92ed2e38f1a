"""Builds the table of a suite: our rows first, then the published ones.

A cell is mean ± sample standard deviation (n). Where trials failed, run or are missing, n becomes "2/3" and
the status column says why: nothing is averaged over in silence. Rows that must not be compared carry a mark
and a footnote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from results.published import load_published, published_for_suite
from results.record import flat_metrics
from results.trials import Trials, group_trials, mean_std

if TYPE_CHECKING:
    import pandas

# canonical order within a task; others follow in the evaluator's order
ORDER = {name: i for i, name in enumerate(["AP", "AP50", "AP75", "mIoU"])}


@dataclass(frozen=True)
class Cell:
    """One number of a table. `printed` is a published number as its paper prints it; `state` says why
    there is none.
    """

    value: float | None = None
    std: float | None = None
    n: int = 0
    total: int = 0
    printed: str = ""
    state: str = ""

    @property
    def text(self) -> str:
        """As shown to people: "55.9 ± 0.2 (5)", "55.9 (1)", "55.9 ± 0.2 (4/5)", "81.5" or "failed"."""
        if self.printed or self.value is None:
            return self.printed or self.state
        spread = "" if self.std is None else f" ± {self.std:.1f}"
        count = f"{self.n}" if self.n == self.total else f"{self.n}/{self.total}"
        return f"{self.value:.1f}{spread} ({count})"


@dataclass
class Row:
    """One line of a table: `cells` by column; `marks` point at the table's footnotes."""

    label: str
    origin: str  # "ours" | "published"
    cells: dict[str, Cell]
    status: str = ""
    marks: list[str] = field(default_factory=list)
    source: str = ""


@dataclass
class Table:
    """A table ready to be written in any format."""

    title: str
    columns: list[str]
    rows: list[Row]
    notes: dict[str, str] = field(default_factory=dict)  # mark -> footnote

    def note(self, text: str) -> str:
        """The mark of a footnote: a, b, c ... in order of first use."""
        for mark, known in self.notes.items():
            if known == text:
                return mark
        mark = chr(ord("a") + len(self.notes) % 26) * (1 + len(self.notes) // 26)
        self.notes[mark] = text
        return mark


def suite_table(
    records: Sequence[dict[str, Any]],
    suite: str,
    metrics: Sequence[str] | None = None,
    published: bool = True,
) -> pandas.DataFrame:
    """The table of one suite as people read it, for notebooks and Markdown.

    Index: inits, ours first. Columns: the metrics (flat names), "status" where we have rows, "source" where
    there are published ones. Title and footnotes are in `attrs`. Numbers are text here: `build_suite_table`
    has them as numbers.
    """
    return to_frame(build_suite_table(records, suite, metrics, published))


def build_suite_table(
    records: Sequence[dict[str, Any]],
    suite: str,
    metrics: Sequence[str] | None = None,
    published: bool = True,
) -> Table:
    """The table of one suite; `metrics` are flat names ("bbox/AP"), by default those that the papers
    print.
    """
    ours = group_trials(record for record in records if record["suite"] == suite).get(suite, [])
    rows = published_for_suite(load_published(), suite)
    columns = (
        list(metrics) if metrics else default_metrics(ours, [name for row in rows for name in row.values])
    )
    table = Table(suite, columns, [])
    table.rows = [our_row(trials, columns, table) for trials in ours]
    if published:
        for row in rows:
            cells = {
                name: Cell(float(text), printed=text) for name, text in row.values.items() if name in columns
            }
            table.rows.append(Row(f"{row.init}, {row.schedule}", "published", cells, source=row.source))
    return table


def our_row(trials: Trials, columns: Sequence[str], table: Table) -> Row:
    """Our trials as a row; footnotes go to the table."""
    states = trials.states
    status = ", ".join(f"{count} {state}" for state, count in states.items())
    marks = [table.note(f"not comparable: {why}") for why in trials.reasons]
    return Row(trials.label, "ours", {c: our_cell(trials, c) for c in columns}, status, marks)


def our_cell(trials: Trials, metric: str) -> Cell:
    """Mean, deviation and count over the finished trials, or the reason why there is no number."""
    values, states = trials.values(metric), trials.states
    total = sum(states.values())
    if values:
        mean, std = mean_std(values)
        return Cell(mean, std, len(values), total)
    return Cell(n=0, total=total, state="undefined" if states["finished"] else next(iter(states)))


def default_metrics(ours: Sequence[Trials], papers: Sequence[str]) -> list[str]:
    """The papers' metrics for a suite; for a suite without published numbers, all but the per-class ones."""
    found = list(dict.fromkeys(papers))
    if not found:
        names = (name for trials in ours for record in trials.records for name in flat_metrics(record))
        found = [name for name in dict.fromkeys(names) if "-" not in name]  # Detectron2: "AP-person"
    tasks = list(dict.fromkeys(name.split("/")[0] for name in found))
    return sorted(
        found, key=lambda name: (tasks.index(name.split("/")[0]), ORDER.get(name.split("/")[1], 99))
    )


def to_frame(table: Table) -> pandas.DataFrame:
    """The table's text as a DataFrame; see `suite_table`."""
    import pandas

    lines = []
    for row in table.rows:
        line = {column: row.cells.get(column, Cell()).text for column in table.columns}
        if any(r.status for r in table.rows):
            line["status"] = row.status
        if any(r.source for r in table.rows):
            line["source"] = row.source
        lines.append(line)
    labels = [f"{row.label} ({' '.join(row.marks)})" if row.marks else row.label for row in table.rows]
    frame = pandas.DataFrame(lines, index=pandas.Index(labels, name="init"))
    frame.attrs.update(title=table.title, notes=dict(table.notes))
    return frame


def to_markdown(frame: pandas.DataFrame) -> str:
    """A suite_table as Markdown: heading, table, footnotes."""
    parts = [f"### {frame.attrs['title']}", "", frame.to_markdown(disable_numparse=True)]
    notes = frame.attrs.get("notes", {})
    if notes:
        parts += [""] + [f"({mark}) {text}  " for mark, text in notes.items()]
    return "\n".join(parts).rstrip() + "\n"
