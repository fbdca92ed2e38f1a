"""Makes the pieces of HTML that the report consists of; every text is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from results.tables.escape import html_text

DOUBTED = " (!)"  # stands beside a doubted number where no footnote can be


class Toned(NamedTuple):
    """A text of a table with the class that colours its field: good, bad, soft or none."""

    text: str
    tone: str


def text_table(heads: Sequence[str], lines: Sequence[Sequence[str | Toned]], style: str = "text") -> str:
    """A plain table of texts, scrolling by itself where it is wider than the page.

    It can be reached and scrolled by keyboard. Names in heads may break after an underscore.
    """
    head = "".join(f"<th>{html_text(text).replace('_', '_<wbr>')}</th>" for text in heads)
    body = "\n".join("<tr>" + "".join(map(_field, line)) + "</tr>" for line in lines)
    table = f'<table class="{style}"><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>'
    return f'<div class="scroll" tabindex="0">{table}</div>'


def _field(field: str | Toned) -> str:
    if isinstance(field, str):
        return f"<td>{html_text(field)}</td>"
    return f'<td class="{field.tone}">{html_text(field.text)}</td>' if field.tone else _field(field.text)


def details(summary: str, body: str, opened: bool = False) -> str:
    """A part that is folded away on the screen and printed in full."""
    return f"<details{' open' if opened else ''}><summary>{html_text(summary)}</summary>{body}</details>"


def shorten(values: Sequence[Any], most: int = 5, separator: str = ", ") -> str:
    """The first `most` of a list, and how many there are."""
    shown = separator.join(map(str, values[:most]))
    return shown if len(values) <= most else f"{shown} ... {len(values)} in all"
