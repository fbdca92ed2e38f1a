"""Lines over a common axis: to scale, each with a look and a name of its own."""

from __future__ import annotations

import math

import pytest

from results.looks import looks
from results.report.axis import nice_range
from results.report.lines import Line, line_chart, spread, thin
from tests.results.report.parsed import parse


def test_lines_are_drawn_to_scale() -> None:
    lines = [Line("a", [(0, 4.0), (10, 1.0)]), Line("b", [(0, 2.0), (5, 2.0)])]
    chart = parse(line_chart(lines, "iteration", "loss"))
    # the axis goes from 1 to 4; the line that ends highest comes first
    points = [one.attributes["points"] for one in chart.all("polyline")]
    assert points == ["0.00,66.67 50.00,66.67", "0.00,0.00 100.00,100.00"]
    (ticks,) = chart.all("div", "y")
    assert [one.text for one in ticks.all("span")][:4] == ["4", "3.5", "3", "2.5"]
    marks = [(one.style("left"), one.style("top")) for one in chart.all("span", "mark")]
    assert marks == [(0, 66.67), (50, 66.67), (0, 0), (100, 100)]
    assert line_chart([Line("a", [])], "iteration", "loss") == ""
    assert line_chart([Line("a", [(0, math.nan)])], "iteration", "loss") == ""


def test_thirty_lines_look_different_and_are_named_where_they_end() -> None:
    lines = [Line(f"row{i}", [(0, 40.0), (1, float(i))]) for i in range(30)]
    chart = parse(line_chart(lines, "iteration", "loss"))
    (ends,) = chart.all("div", "ends")
    names = list(ends.all("span"))
    assert all("color" not in one.attributes["style"] for one in names), "names are in the ink of the text"
    assert [one.text.split()[1] for one in names] == [f"row{i}" for i in range(29, -1, -1)]
    assert len({(one.text, one.attributes["style"]) for one in ends.all("b")}) == 30, "their markers differ"
    tops = [one.style("top") for one in names]
    assert min(b - a for a, b in zip(tops, tops[1:], strict=False)) > 2.9, "no name covers another"


def test_a_row_looks_alike_in_all_charts() -> None:
    known = looks(["one", "two", "three"])
    chart = line_chart([Line("three", [(0, 1.0), (1, 2.0)])], "iteration", "loss", known)
    assert f'stroke="{known["three"].color}"' in chart
    assert known["three"].color != looks(["three"])["three"].color
    assert len(set(looks(str(i) for i in range(56)).values())) == 56


def test_names_are_spread_as_far_as_they_need() -> None:
    assert spread([10, 50, 90], 5) == [10, 50, 90]
    assert spread([50, 50, 50], 5) == [50, 55, 60]
    assert spread([98, 99, 100], 5) == [90, 95, 100]
    assert spread([50] * 5, 40) == [0, 25, 50, 75, 100]


@pytest.mark.parametrize(
    ("values", "axis"),
    [
        ([0.48, 2.43], (0.0, 2.5, 0.5)),
        ([1.0, 4.0], (1.0, 4.0, 0.5)),
        ([2.0, 2.0], (2.0, 2.1, 0.1)),
        ([0.0], (0, 0.1, 0.1)),
    ],
)
def test_an_axis_around_values(values: list[float], axis: tuple[float, float, float]) -> None:
    assert nice_range(values) == pytest.approx(axis)


def test_thinning_keeps_the_mean_and_drops_what_is_not_finite() -> None:
    points = [(float(i), float(i % 7)) for i in range(1000)]
    thinned = thin(points, 100)
    assert len(thinned) == 100
    assert sum(y for _, y in thinned) / 100 == pytest.approx(sum(y for _, y in points) / 1000)
    assert thin([(0, 1.0), (1, math.nan), (2, math.inf), (3, 2.0)]) == [(0, 1.0), (3, 2.0)]
