"""Charts of the report as plain HTML and SVG: no script, no picture files, sharp at every size.

Texts are HTML beside or over the drawing, so that they keep their size on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from results.escape import html_text

# Okabe and Ito's colours, told apart by colour-blind readers too
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f6f00", "#666666"]
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
    """Lines over a common x from 0 and y from 0, thinned to at most POINTS points, with a legend."""
    thinned = [Line(line.label, thin(line.points)) for line in lines if line.points]
    if not thinned:
        return ""
    x_top = max(x for line in thinned for x, _ in line.points) or 1
    y_top = nice_top([y for line in thinned for _, y in line.points])
    labels = list(dict.fromkeys(line.label for line in thinned))
    colors = {label: COLORS[i % len(COLORS)] for i, label in enumerate(labels)}
    drawn = "".join(
        f'<polyline stroke="{colors[line.label]}" points="'
        + " ".join(f"{100 * x / x_top:.2f},{100 - 100 * y / y_top:.2f}" for x, y in line.points)
        + '"><title>'
        + html_text(line.label)
        + "</title></polyline>"
        for line in thinned
    )
    rules = "".join(f'<line class="rule" x1="0" x2="100" y1="{y}" y2="{y}"/>' for y in (0, 50, 100))
    y_ticks = "".join(f"<span>{tick:g}</span>" for tick in (y_top, y_top / 2, 0))
    x_ticks = f"<span>0</span><span>{html_text(x_name)}</span><span>{x_top:g}</span>"
    keys = "".join(
        f'<span><span class="key" style="border-color:{color}"></span>{html_text(label)}</span>'
        for label, color in colors.items()
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


def _percent(value: float, top: float) -> str:
    return f"{100 * min(max(value / top, 0), 1):.3f}%"
