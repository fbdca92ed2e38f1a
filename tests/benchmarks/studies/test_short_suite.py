"""The short suite is what the published numbers choose, and the docs print how."""

from __future__ import annotations

from pathlib import Path

from benchmarks.planning.suite import groups
from benchmarks.studies.short_suite import costs, panels, printed
from results.ranking.short import SHORT, chosen, frontier

DOCS = Path(__file__).parents[3] / "docs" / "frozen.md"


def test_the_group_is_the_choice_and_the_docs_have_the_others() -> None:
    tables = panels()
    line = frontier(tables, costs())
    assert set(chosen(line).taken) == {name.replace("_svm", "").rpartition("_")[2] for name in SHORT}
    assert groups()["short"] == list(SHORT)
    assert set(SHORT) <= set(groups()["representation"]), "one command obtains them all"
    assert "\n".join(printed(line, tables)) in DOCS.read_text(encoding="utf-8")
