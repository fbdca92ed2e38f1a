"""Dots with intervals: to scale, and a row far off does not hide the others."""

from __future__ import annotations

import pytest

from results.report.dots import Dot, dot_chart
from tests.results.report.parsed import Node, parse

DOTS = [
    Dot("best", 1.0, (0.5, 1.5), "+1.0 ± 0.5", "good"),
    Dot("paper", 0.4, None, "+0.4", published=True),
    Dot("worst", -0.5, (-0.9, -0.1), "-0.5 ± 0.4", "bad"),
    Dot("random", -30.0, (-31.0, -29.0), "-30.0 ± 1.0", "bad"),
]


def _axis(chart: Node) -> tuple[float, float]:
    (axis,) = chart.all("span", "axis")
    ticks = [float(one.text) for one in axis.all("span")]
    return ticks[0], ticks[-1]


def test_gaps_stand_to_scale_around_zero() -> None:
    chart = parse(dot_chart(DOTS, around_zero=True))
    low, high = _axis(chart)
    assert (low, high) == (-1.0, 1.5), "of the intervals that are near"
    dots, lines = list(chart.all("span", "dot")), list(chart.all("span", "whisker"))
    places = [low + one.style("left") / 100 * (high - low) for one in dots]
    assert places == pytest.approx([1.0, 0.4, -0.5, low], abs=1e-3)
    assert [one.attributes["class"] for one in dots] == [
        "dot good",
        "dot hollow",
        "dot bad",
        "dot bad far left",
    ]
    ends = [(low + s / 100 * (high - low), w / 100 * (high - low)) for s, w in _spans(lines)]
    assert ends[0] == pytest.approx((0.5, 1.0), abs=1e-3)
    assert ends[1] == pytest.approx((-0.9, 0.8), abs=1e-3)
    assert len({one.style("left") for one in chart.all("span", "zero")}) == 1
    names = [one.text for one in chart.all("span", "name")]
    assert names == [dot.label for dot in DOTS]


def _spans(lines: list[Node]) -> list[tuple[float, float]]:
    return [(one.style("left"), one.style("width")) for one in lines]


def test_what_is_on_the_axis_is_no_arrow() -> None:
    """A wide interval may bring a far value onto the axis; what is beyond points to its side."""
    made = [Dot("a", 0.3, (-30.0, 30.0), ""), Dot("b", 0.1, None, ""), Dot("c", -3.0, None, "", "bad")]
    made += [Dot("f", 0.1, None, ""), Dot("g", -0.2, None, "")]
    chart = parse(dot_chart([*made, Dot("d", -70.0, None, ""), Dot("e", 70.0, None, "")], True))
    kinds = [one.attributes["class"] for one in chart.all("span", "dot")]
    assert kinds == ["dot", "dot", "dot bad", "dot", "dot", "dot far left", "dot far right"]


def test_scores_have_no_zero_and_nothing_is_far() -> None:
    chart = parse(dot_chart([Dot("a", 50.0, None, "50.0"), Dot("b", 54.0, (53.0, 55.0), "54.0")], False, 4))
    assert _axis(chart) == (50.0, 56.0)
    assert not list(chart.all("span", "zero"))
    assert [one.style("left") for one in chart.all("span", "dot")] == pytest.approx([0, 66.67], abs=0.01)
    assert dot_chart([], True) == ""


def test_names_are_escaped() -> None:
    chart = dot_chart([Dot("<script>", 1.0, None, "+1.0")], True)
    assert "<script>" not in chart
    assert "&lt;script&gt;" in chart
