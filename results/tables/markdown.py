"""Tables as Markdown that GitHub reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from results.tables.escape import markdown_text
from results.tables.grid import Table, grid

if TYPE_CHECKING:
    import pandas


def md(tables: Sequence[Table]) -> str:
    """One heading, table and list of footnotes per table."""
    made = []
    for table in tables:
        heads, lines = grid(table)
        texts = [[piece.text for piece in line] for line in lines]
        made.append(_block(table.title, heads, texts, table.footnotes))
    return "\n".join(made)


def to_markdown(frame: pandas.DataFrame) -> str:
    """A frame of texts with `title` and `footnotes` in its attrs, as `suite_table` gives it."""
    lines = [[str(label), *texts] for label, texts in zip(frame.index, frame.to_numpy(), strict=True)]
    heads = [frame.index.name or "", *frame.columns]
    return _block(frame.attrs["title"], heads, lines, frame.attrs["footnotes"])


def _block(title: str, heads: Sequence[str], lines: Sequence[Sequence[str]], footnotes: Sequence[str]) -> str:
    escaped = [[markdown_text(text) for text in line] for line in [heads, *lines]]
    widths = [max(map(len, column)) for column in zip(*escaped, strict=True)]
    padded = [" | ".join(map(str.ljust, line, widths)) for line in escaped]
    rule = "|".join("-" * (width + 2) for width in widths)
    body = [f"| {padded[0]} |", f"|{rule}|", *(f"| {line} |" for line in padded[1:])]
    notes = [f"{markdown_text(text)}  " for text in footnotes]
    return "\n".join([f"### {markdown_text(title)}", "", *body, "", *notes]).rstrip() + "\n"
