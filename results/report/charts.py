"""Draws the charts of the report as plain HTML and SVG: no script, no picture files, sharp at every size.

Texts are HTML beside or over the drawing, so that they keep their size on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from results.tables.escape import html_text

# Okabe and Ito's colours, told apart by colour-blind readers too; more lines than colours are dashed
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f6f00", "#666666"]
DASHES = ["", "6 3", "2 2", "9 3 2 3"]  # in an SVG; the styles of the legend's keys are their equals
POINTS = 200  # drawn per line; a log line more would not be visible


@dataclass(frozen=True)
class Bar:
    """One bar: a mean with its deviation, and the text shown beside it."""

    label: str
    value: float
    std: float | None
    text: str
    published: bool = False


@dataclass(frozen=True)
class Line:
    """One line: (x, y) points; lines of one label share a colour."""

    label: str
    points: Sequence[tuple[float, float]]


def bar_chart(bars: Sequence[Bar], reference: float | None, paper: float | None) -> str:
    """Horizontal bars from zero; `reference` and `paper`: where our and the papers' supervised row stand."""
    top = nice_top(
        [bar.value + (bar.std or 0) for bar in bars] + [v for v in (reference, paper) if v is not None]
    )
    lines = "".join(
        f'<span class="reference{kind}" style="left:{_percent(value, top)}"></span>'
        for value, kind in ((reference, ""), (paper, " paper"))
        if value is not None
    )
    rows = []
    for bar in bars:
        whisker = ""
        if bar.std is not None:
            left, width = _percent(bar.value - bar.std, top), _percent(2 * bar.std, top)
            whisker = f'<span class="whisker" style="left:{left};width:{width}"></span>'
        rows.append(
            f'<div class="bar{" published" if bar.published else ""}">'
            f'<span class="name">{html_text(bar.label)}</span>'
            f'<span class="track"><span class="fill" style="width:{_percent(bar.value, top)}"></span>'
            f'{whisker}{lines}</span><span class="value">{html_text(bar.text)}</span></div>'
        )
    ticks = "".join(f"<span>{tick:g}</span>" for tick in (0, top / 2, top))
    axis = f'<div class="bar"><span></span><span class="axis">{ticks}</span><span></span></div>'
    return f'<div class="bars">{"".join(rows)}{axis}</div>'


def line_chart(lines: Sequence[Line], x_name: str, y_name: str) -> str:
    """Lines over a common x from 0, y from below the lowest to above the highest point, with a legend.

    A label has a colour and dashes of its own, up to 32 labels. The legend is in order of the last values,
    from the top down, as the lines end at the right.
    """
    thinned = [Line(line.label, thin(line.points)) for line in lines if line.points]
    thinned = [line for line in thinned if line.points]
    if not thinned:
        return ""
    x_top = max(x for line in thinned for x, _ in line.points) or 1
    low, high, step = nice_range([y for line in thinned for _, y in line.points])
    labels = list(dict.fromkeys(line.label for line in thinned))
    looks = {
        label: (COLORS[i % len(COLORS)], i // len(COLORS) % len(DASHES)) for i, label in enumerate(labels)
    }

    def place(y: float) -> float:
        return 100 * (high - y) / (high - low)

    drawn = "".join(
        f'<polyline stroke="{color}" stroke-dasharray="{DASHES[dash]}" points="'
        + " ".join(f"{100 * x / x_top:.2f},{place(y):.2f}" for x, y in line.points)
        + f'"><title>{html_text(line.label)}</title></polyline>'
        for line in thinned
        for color, dash in [looks[line.label]]
    )
    ticks = [low + i * step for i in range(round((high - low) / step) + 1)][::-1]
    rules = "".join(f'<line class="rule" x1="0" x2="100" y1="{y:g}" y2="{y:g}"/>' for y in map(place, ticks))
    y_ticks = "".join(f"<span>{tick:g}</span>" for tick in ticks)
    x_ticks = f"<span>0</span><span>{html_text(x_name)}</span><span>{x_top:g}</span>"
    last = {line.label: line.points[-1][1] for line in thinned}
    keys = "".join(
        f'<span><span class="key dash{looks[label][1]}" style="color:{looks[label][0]}"></span>'
        f"{html_text(label)} {last[label]:.3g}</span>"
        for label in sorted(last, key=lambda label: -last[label])
    )
    return (
        f'<div class="chart"><div class="y">{y_ticks}</div>'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{html_text(y_name)} over {html_text(x_name)}">{rules}{drawn}</svg>'
        f'<div class="x">{x_ticks}</div></div><div class="legend">{keys}</div>'
    )


def thin(points: Sequence[tuple[float, float]], count: int = POINTS) -> list[tuple[float, float]]:
    """At most `count` points: means over equal runs of points. Points that are not finite are left out."""
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if len(finite) <= count:
        return finite
    edges = [i * len(finite) // count for i in range(count + 1)]
    runs = (finite[start:end] for start, end in zip(edges, edges[1:], strict=False))
    return [
        (math.fsum(x for x, _ in run) / len(run), math.fsum(y for _, y in run) / len(run)) for run in runs
    ]


def nice_top(values: Sequence[float]) -> float:
    """The end of an axis from 0: 1, 2, 2.5 or 5 times a power of ten, or a multiple that wastes less."""
    top = max((v for v in values if math.isfinite(v)), default=0)
    if top <= 0:
        return 1.0
    step = 10 ** math.floor(math.log10(top))
    return next(step * f for f in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * f >= top)


def nice_range(values: Sequence[float], most: int = 6) -> tuple[float, float, float]:
    """(low, high, step) of an axis around finite values: at most `most` steps of 1, 2, 5, 10 ..."""
    least, greatest = min(values), max(values)
    spread = (greatest - least) or abs(greatest) or 1.0
    power = 10.0 ** math.floor(math.log10(spread / most))
    for step in (power * factor for factor in (1, 2, 5, 10, 20)):
        low, high = math.floor(least / step), math.ceil(greatest / step)
        if high - low <= most:
            break
    return low * step, max(high, low + 1) * step, step


def _percent(value: float, top: float) -> str:
    return f"{100 * min(max(value / top, 0), 1):.3f}%"
