"""Prints tables as Markdown that GitHub reads."""

from __future__ import annotations

from collections.abc import Sequence

from results.tables.escape import markdown_text
from results.tables.grid import Table, grid


def md(tables: Sequence[Table]) -> str:
    """One heading, table and list of footnotes per table."""
    made = []
    for table in tables:
        heads, lines = grid(table)
        texts = [[piece.text for piece in line] for line in lines]
        made.append(md_block(table.title, heads, texts, table.footnotes))
    return "\n".join(made)


def md_block(
    title: str, heads: Sequence[str], lines: Sequence[Sequence[str]], footnotes: Sequence[str]
) -> str:
    """One table of texts, its columns padded to equal widths; every text is escaped here."""
    escaped = [[markdown_text(text) for text in line] for line in [heads, *lines]]
    widths = [max(map(len, column)) for column in zip(*escaped, strict=True)]
    padded = [" | ".join(map(str.ljust, line, widths)) for line in escaped]
    rule = "|".join("-" * (width + 2) for width in widths)
    body = [f"| {padded[0]} |", f"|{rule}|", *(f"| {line} |" for line in padded[1:])]
    notes = [f"{markdown_text(text)}  " for text in footnotes]
    return "\n".join([f"### {markdown_text(title)}", "", *body, "", *notes]).rstrip() + "\n"
