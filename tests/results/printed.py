"""Reads a table back from what is printed, as a reader of the Markdown sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from results.tables.formats import FORMATS
from results.tables.suite import build_suite_table
from results.tables.trials import group_trials


@dataclass(frozen=True)
class Printed:
    """One printed table: its rows are {head: text}; `notes` are the lines below it."""

    title: str
    heads: list[str]
    rows: list[dict[str, str]]
    notes: list[str]

    @property
    def labels(self) -> list[str]:
        return [row[self.heads[0]] for row in self.rows]

    def row(self, label: str) -> dict[str, str]:
        """The first row with this label."""
        return self.rows[self.labels.index(label)]


def read_markdown(text: str) -> list[Printed]:
    """Every table of a Markdown text, without the backslashes that keep texts from being markup."""
    tables = []
    for block in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        title, *lines = block.splitlines()
        split = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
        heads, _, *rows = [[_literal(field) for field in fields] for fields in split]
        notes = [_literal(line) for line in lines if line.strip() and not line.startswith("|")]
        named = [dict(zip(heads, row, strict=True)) for row in rows]
        tables.append(Printed(_literal(title), heads, named, notes))
    return tables


def _literal(field: str) -> str:
    return re.sub(r"\\([!-/:-@[-`{-~])", r"\1", field.strip())


def print_suite(records: list[Any], suite: str = "voc_c4", **options: Any) -> Printed:
    """The suite's table of these records, printed and read back; options of `build_suite_table`."""
    table = build_suite_table(group_trials(records)[suite], suite, **options)
    (printed,) = read_markdown(FORMATS["md"].write([table]))
    return printed
