"""Prints tables as terminal text, folded to a narrow terminal without losing a digit.

A table that is wider than the terminal is printed as several blocks below each other: each repeats the rows'
names and has as many columns as fit. Names, sources and footnotes wrap, numbers never do. Where even a name
beside one number is too wide, the block is wider than the terminal.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from converters.options import visible
from results.tables.grid import Piece, Table, grid

if TYPE_CHECKING:
    from rich.table import Table as RichTable

COLORS = {"good": "green", "bad": "red"}
GAP = 3  # blanks between two columns, as the box below has them
LEAST = 16  # a column of words is not made narrower, if its longest text is not


def terminal_width() -> int | None:
    """Columns of the terminal that standard output goes to; None is as wide as it takes.

    None where it goes to a file or a pipe and COLUMNS is not set: a log is read elsewhere.
    """
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return shutil.get_terminal_size().columns
    return None


def term(tables: Sequence[Table], width: int | None = None, color: bool = False) -> str:
    """The tables for a terminal `width` columns wide; None: every table as wide as it is."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    stream = io.StringIO()
    for table in tables:
        heads, lines = grid(table)
        heads = [visible(head) for head in heads]
        lines = [[Piece(visible(piece.text), piece.tone) for piece in line] for line in lines]
        widths = _widths(heads, lines, len(table.columns), width)
        blocks = _blocks(widths, width)
        # rich cuts what is wider than its console, so the console is never narrower than a block
        widest = max(width or 0, *(_total([widths[i] for i in block]) for block in blocks))
        console = Console(
            file=stream, width=widest, force_terminal=color, color_system="standard" if color else None
        )
        # as its own line: a title would wrap at the table's width
        console.print(Text(visible(table.title), style="bold"), soft_wrap=width is None)
        for block in blocks:
            console.print(_block(table, heads, lines, block, widths))
        for note in table.footnotes:
            text = Text(visible(note))
            # indented, so that a folded footnote is not taken for two
            console.print(Padding(text, (0, 0, 0, 2)) if width else Text("  ") + text, soft_wrap=not width)
        console.print()
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _widths(
    heads: Sequence[str], lines: Sequence[Sequence[Piece]], numbers: int, width: int | None
) -> list[int]:
    """Columns of the screen that each column of the table gets."""
    from rich.cells import cell_len

    columns = zip(*([piece.text for piece in line] for line in lines), strict=True)
    texts = list(columns) or [()] * len(heads)
    full = [max(map(cell_len, [head, *column])) for head, column in zip(heads, texts, strict=True)]
    if width is None or _total(full) <= width:
        return full
    # names take at most a third, and less where that saves a block; words at the side fit beside them
    choices = []
    for name in range(min(full[0], max(LEAST, width // 3)), min(full[0], LEAST) - 1, -1):
        words = max(LEAST, width - _total([name, 0]))
        made = [name, *(w if i <= numbers else min(w, words) for i, w in enumerate(full[1:], 1))]
        choices.append(made)
    return min(choices, key=lambda made: len(_blocks(made, width)))


def _total(widths: Sequence[int]) -> int:
    return sum(width + GAP for width in widths) + 1


def _blocks(widths: Sequence[int], width: int | None) -> list[list[int]]:
    """The columns of each block; the first column, the names, is in all of them."""
    blocks = [[0]]
    for i in range(1, len(widths)):
        used = _total([widths[j] for j in [*blocks[-1], i]])
        if width is not None and used > width and len(blocks[-1]) > 1:
            blocks.append([0])
        blocks[-1].append(i)
    return blocks


def _block(
    table: Table,
    heads: Sequence[str],
    lines: Sequence[Sequence[Piece]],
    columns: Sequence[int],
    widths: Sequence[int],
) -> RichTable:
    """One block: the named columns of the grid, those of numbers to the right."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=box.SIMPLE_HEAD)
    for i in columns:
        side = "right" if 0 < i <= len(table.columns) else "left"
        shown.add_column(Text(heads[i]), justify=side, width=widths[i], overflow="fold")  # type: ignore[arg-type]
    for row, line in zip(table.rows, lines, strict=True):
        texts = [
            Text.assemble(number, (gap, COLORS.get(piece.tone, "")))
            for piece in (line[i] for i in columns)
            for number, gap in [piece.split]
        ]
        shown.add_row(*texts, style="dim" if row.origin == "published" else "")
    return shown
