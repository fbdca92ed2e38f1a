"""Collects the problems found in annotations: which rule was broken how often, with examples.

A broken rule is an error, which stops the run, or odd: kept as it is, counted and reported.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from transfer.errors import DataError

EXAMPLES_PER_RULE = 5  # kept where one line is shown
LISTED_PER_RULE = 10_000  # kept where everything is listed: more of one rule is a wrong format


@dataclass(frozen=True)
class Finding:
    """One broken rule; `line()` names file, record, field, value and rule."""

    rule: str
    file: str
    record: str
    field: str
    value: str
    says: str

    def line(self) -> str:
        where = f"{self.file}: {self.record}" if self.record else self.file
        what = f"{self.field} = {self.value}" if self.value else self.field
        return f"{where}: {what}: {self.says} [{self.rule}]"


@dataclass
class Findings:
    """Collects findings; keeps the first `keep` of each rule and the counts of all."""

    errors: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Finding]] = field(default_factory=dict)
    keep: int = EXAMPLES_PER_RULE
    deep: bool = False  # also open the image files; `check` does, loading for training does not
    opened: int = 0  # images opened so far, of `to_open`: what a progress display shows
    to_open: int = 0

    def error(self, rule: str, file: str, record: str, field: str, value: Any, says: str) -> None:
        self.errors[rule] += 1
        self._keep(rule, file, record, field, value, says)

    def oddity(self, rule: str, file: str, record: str, field: str, value: Any, says: str) -> None:
        self.odd[rule] += 1
        self._keep(rule, file, record, field, value, says)

    def _keep(self, rule: str, file: str, record: str, field: str, value: Any, says: str) -> None:
        kept = self.examples.setdefault(rule, [])
        if len(kept) < self.keep:
            kept.append(Finding(rule, file, record, field, shorten(value), says))

    def stop_on_error(self, where: str, command: str) -> None:
        """Raises DataError with the first error, the number of the others by rule, and `command`.

        where: begins the message. command: lists all findings.
        """
        if not self.errors:
            return
        first = self.examples[next(iter(self.errors))][0]
        more = sum(self.errors.values()) - 1
        rules = ", ".join(f"{rule} {count}" for rule, count in self.errors.most_common())
        all_rules = f"; in all: {rules}" if len(self.errors) > 1 else ""
        others = f" (and {more} more){all_rules}" if more else ""
        raise DataError(f"{where}: {first.line()}{others}; mend it, or list everything with: {command}")


def shorten(value: Any, limit: int = 60) -> str:
    """One printable line for any value: a line break in a name must not break the message."""
    try:
        text = value if isinstance(value, str) else ("" if value is None else repr(value))
    except RecursionError:
        text = f"a deeply nested {type(value).__name__}"
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= limit else text[: limit - 3] + "..."
