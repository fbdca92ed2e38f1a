"""Makes the pieces of HTML that the report consists of; every text is escaped here."""

from __future__ import annotations

from collections.abc import Sequence

from results.tables.escape import html_text

DOUBTED = " (!)"  # stands beside a doubted number where no footnote can be


def text_table(heads: Sequence[str], lines: Sequence[Sequence[str]], style: str = "text") -> str:
    """A plain table of texts, scrolling by itself where it is wider than the page."""
    head = "".join(f"<th>{html_text(text)}</th>" for text in heads)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{html_text(text)}</td>" for text in line) + "</tr>" for line in lines
    )
    table = f'<table class="{style}"><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>'
    return f'<div class="scroll">{table}</div>'


def details(summary: str, body: str, opened: bool = False) -> str:
    """A part that is folded away on the screen and printed in full."""
    return f"<details{' open' if opened else ''}><summary>{html_text(summary)}</summary>{body}</details>"
