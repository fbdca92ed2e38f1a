"""Holds a table as data, cells in rows with footnotes, and lays it out as a grid of texts.

Every format and the report print this grid, so a number reads the same everywhere. CSV alone prints the
numbers of the cells, in full precision.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from results.tables.cell import TableCell, signed


@dataclass
class Row:
    """One line of a table: `cells` by column; `marks` point at the table's footnotes."""

    label: str
    origin: str  # "ours" | "published"
    cells: dict[str, TableCell]
    status: str = ""  # "4 finished, 1 failed"; empty where all trials have finished
    marks: list[str] = field(default_factory=list)
    source: str = ""
    # our row's published counterpart, and how far we are from it by column
    published_as: str = ""
    to_published: dict[str, float] = field(default_factory=dict)

    @property
    def marked_label(self) -> str:
        """The label with the marks of its footnotes: "moco (demo) (a b)"."""
        return f"{self.label} ({' '.join(self.marks)})" if self.marks else self.label


@dataclass
class Table:
    """A table ready to be printed in any format."""

    title: str
    columns: list[str]
    rows: list[Row]
    notes: dict[str, str] = field(default_factory=dict)  # mark -> footnote
    legend: list[str] = field(default_factory=list)  # footnotes without a mark

    def note(self, text: str) -> str:
        """The mark of a footnote: a, b, c ... in order of first use."""
        for mark, known in self.notes.items():
            if known == text:
                return mark
        mark = chr(ord("a") + len(self.notes) % 26) * (1 + len(self.notes) // 26)
        self.notes[mark] = text
        return mark

    @property
    def marked_notes(self) -> list[str]:
        """The footnotes of marks as lines of text."""
        return [f"({mark}) {text}" for mark, text in self.notes.items()]

    @property
    def footnotes(self) -> list[str]:
        """All footnotes as lines of text."""
        sources = [f"published rows: {self.sources[0]}"] if len(self.sources) == 1 else []
        return self.marked_notes + self.legend + sources

    @property
    def sources(self) -> list[str]:
        """Where the published rows are printed, each place once. A single one is a footnote, not a column."""
        return list(dict.fromkeys(row.source for row in self.rows if row.source))


@dataclass(frozen=True)
class Piece:
    """One field of the grid; the tone colours its gap, the part in square brackets, as in the papers."""

    text: str
    tone: str = ""

    @property
    def split(self) -> tuple[str, str]:
        """The number and its gap: ("55.9 ± 0.2 (5) ", "[+2.4**]"); all is number where there is no tone."""
        if not self.tone:
            return self.text, ""
        number, bracket, gap = self.text.rpartition("[")
        return number, bracket + gap


def grid(table: Table) -> tuple[list[str], list[list[Piece]]]:
    """Heads and lines: label, the table's columns, and the side columns that hold anything."""
    side = {
        "to published": [_to_published(row, table.columns) for row in table.rows],
        "status": [row.status for row in table.rows],
        "source": [(row.source or row.origin) if len(table.sources) > 1 else "" for row in table.rows],
    }
    side = {head: texts for head, texts in side.items() if any(texts)}
    lines = []
    for i, row in enumerate(table.rows):
        cells = [row.cells.get(column, TableCell()) for column in table.columns]
        numbers = [Piece(cell.text, cell.tone) for cell in cells]
        lines.append([Piece(row.marked_label), *numbers, *(Piece(texts[i]) for texts in side.values())])
    return ["init", *table.columns, *side], lines


def _to_published(row: Row, columns: list[str]) -> str:
    if not row.to_published:
        return ""
    gaps = (signed(row.to_published[c]) if c in row.to_published else "-" for c in columns)
    return f"{row.published_as}: {' '.join(gaps)}"
