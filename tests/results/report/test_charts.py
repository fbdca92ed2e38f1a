"""The numbers behind the drawings."""

from __future__ import annotations

import math
import re

import pytest

from results.report.charts import Bar, Line, bar_chart, line_chart, nice_range, nice_top, thin


def test_bars_are_drawn_to_scale_from_zero() -> None:
    chart = bar_chart([Bar("a", 50.0, 5.0, "50"), Bar("b", 25.0, None, "25", published=True)], 40.0, None)
    assert re.findall(r'fill" style="width:([\d.]+)%', chart) == ["83.333", "41.667"]  # of an axis to 60
    assert re.findall(r'whisker" style="left:([\d.]+)%;width:([\d.]+)%', chart) == [("75.000", "16.667")]
    assert re.findall(r'reference" style="left:([\d.]+)%', chart) == ["66.667"] * 2
    assert "reference paper" not in chart


def test_lines_are_drawn_to_scale() -> None:
    chart = line_chart(
        [Line("a", [(0, 4.0), (10, 1.0)]), Line("a", [(0, 2.0), (5, 2.0)])], "iteration", "loss"
    )
    # the axis goes from 1 to 4
    assert re.findall(r'points="(.*?)"', chart) == ["0.00,0.00 100.00,100.00", "0.00,66.67 50.00,66.67"]
    assert re.findall(r"<span>([\d.]+)</span>", chart)[:4] == ["4", "3.5", "3", "2.5"]
    assert chart.count('class="key ') == 1  # one label, one colour
    assert line_chart([Line("a", [])], "iteration", "loss") == ""
    assert line_chart([Line("a", [(0, math.nan)])], "iteration", "loss") == ""


def test_every_line_looks_different_and_the_legend_is_in_their_order() -> None:
    lines = [Line(f"row{i}", [(0, 5.0), (1, float(i))]) for i in range(20)]
    chart = line_chart(lines, "iteration", "loss")
    looks = re.findall(r'stroke="(.*?)" stroke-dasharray="(.*?)"', chart)
    assert len(set(looks)) == 20
    keys = re.findall(r'class="key dash(\d)" style="color:(.*?)"></span>(row\d+) ', chart)
    assert [label for _, _, label in keys] == [f"row{i}" for i in range(19, -1, -1)]
    assert len({(dash, color) for dash, color, _ in keys}) == 20


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


@pytest.mark.parametrize(
    ("values", "top"),
    [([], 1.0), ([0.0], 1.0), ([0.7], 0.8), ([55.0, 12.0], 60.0), ([99.9], 100.0), ([101], 120)],
)
def test_axis_ends(values: list[float], top: float) -> None:
    assert nice_top(values) == pytest.approx(top)
