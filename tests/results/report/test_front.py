"""The front page as a tree: gaps, order, marks, and intervals that are those of the tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from results.report.front import overview, warnings
from results.report.multiples import multiples
from results.report.shown import Shown, gather
from results.tables.paired import holm
from results.tables.suite import build_suite_table
from results.tables.trials import group_trials
from tests.results.report.parsed import Node, parse, table


@pytest.fixture(scope="module")
def shown(world: list[dict[str, Any]]) -> Shown:
    return gather(group_trials(world), Path("nowhere"), None, False)


def _panels(page: str) -> dict[str, Node]:
    return {next(one.all("a")).text: one for one in parse(page).all("figure")}


def test_the_gaps_of_all_rows_stand_in_one_table(shown: Shown) -> None:
    (found,) = parse(overview(shown)).all("table", "matrix")
    heads, lines = table(found)
    assert heads[:5] == ["init", "better", "no difference", "worse", "not tested"]
    heads = [head.removesuffix(", less is better") for head in heads]
    assert heads[5:] == list(shown.suites)
    assert [fields[0].text for fields in lines] == [one.label for one in shown.ranked]
    by_row = {fields[0].text: dict(zip(heads, fields, strict=True)) for fields in lines}
    assert [by_row["moco"][head].text for head in heads[1:5]] == ["4", "-", "-", "1"]
    assert by_row["supervised"]["better"].text == "reference"
    assert by_row["late"]["probe"].text == ""
    (other,) = (row for label, row in by_row.items() if label.startswith("other"))
    assert other["one"].text == "≠ 70.0"
    cells = {
        (row.label, suite): row.cells[rows[0].records[0]["primary"]]
        for suite, rows in shown.suites.items()
        for row in build_suite_table(rows, suite, published=False).rows
    }
    p_holm = dict(zip(cells, holm([cell.p for cell in cells.values()]), strict=True))
    for (label, suite), cell in cells.items():
        field, p = by_row[label][suite], p_holm[label, suite]
        if cell.gap is not None:
            assert field.text.strip("▲▼ ()") == f"{cell.gap:+.1f}"
            tone = "good" if (cell.gap > 0) != cell.lower else "bad"
            assert field.attributes.get("class", "") == (tone if p is not None and p < 0.05 else "")
            assert field.text.startswith("(") == (p is None)


def test_the_intervals_are_those_of_the_tests_of_the_tables(shown: Shown) -> None:
    assert "intervals are not corrected" in parse(multiples(shown)).text
    panels = _panels(multiples(shown))
    assert list(panels) == list(shown.suites)
    for suite, panel in panels.items():
        (axis,) = panel.all("span", "axis")
        ticks = [float(one.text) for one in axis.all("span")]
        known = {gap.row: gap for gap in shown.gaps[suite]}
        made = build_suite_table(shown.suites[suite], suite, published=False)
        cells = {row.label: row.cells[shown.primary[suite]] for row in made.rows}
        rows = [one for one in panel.all("div", "row") if any(one.all("span", "dot"))]
        assert [next(one.all("span", "name")).text for one in rows] == [
            one.label for one in shown.ranked if one.label in known
        ]
        for row in rows:
            gap = known[next(row.all("span", "name")).text]
            cell, lines = cells[gap.row], list(row.all("span", "whisker"))
            assert len(lines) == (cell.p is not None), "an interval where the table has a test"
            (dot,) = row.all("span", "dot")
            if "far" in dot.attributes["class"]:
                continue
            at = ticks[0] + dot.style("left") / 100 * (ticks[-1] - ticks[0])
            assert at == pytest.approx(gap.value, abs=0.01)
            for line in lines:
                middle = line.style("left") + line.style("width") / 2
                middle = ticks[0] + middle / 100 * (ticks[-1] - ticks[0])
                assert middle == pytest.approx(cell.gap, abs=0.01), "Student's interval is even"
                wide = line.style("width") / 100 * (ticks[-1] - ticks[0])
                assert gap.ends is not None
                assert wide == pytest.approx(gap.ends[1] - gap.ends[0], abs=0.01)
            assert gap.text == next(row.all("span", "value")).text


def test_small_multiples_without_a_reference_are_scores(make_record: Any) -> None:
    records = [
        make_record(i, t, 50.0 + p + t, s)
        for s in "ab"
        for p, i in enumerate(("<b>", "moco"))
        for t in (0, 1)
    ]
    page = multiples(gather(group_trials(records), Path("nowhere"), None, False))
    assert [one.text for one in parse(page).all("span", "value")] == ["50.5", "51.5"] * 2
    assert "<b>" not in page
    assert "scores, where nothing can be compared" in page
    assert multiples(gather(group_trials(records[:4]), Path("nowhere"), None, False)) == ""


def test_guests_do_not_end_the_ranking(shown: Shown) -> None:
    """Rows of some suites are not ranked, and named: without them the others have sets in common."""
    page = overview(shown)
    (picture,) = parse(page).all("svg", "cd")
    assert "mean ranks of 4 rows over 4 suites" in picture.attributes["aria-label"]
    assert re.search(r"not ranked, on fewer suites: late, other", page)


def test_many_warnings_are_folded() -> None:
    box = parse(warnings([f"line {i}" for i in range(9)]))
    (folded,) = box.all("details")
    assert [one.text for one in folded.all("li")] == [f"line {i}" for i in range(4, 9)]
    assert next(folded.all("summary")).text == "and 5 more"
    assert warnings([]) == ""
