"""Draws lines over a common axis as plain HTML and SVG: no script, no picture files, sharp at every size.

Texts and markers are HTML over the drawing, so that they keep their size and shape on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from results.looks import Look, looks
from results.report.axis import nice_range
from results.tables.escape import html_text

POINTS = 200  # drawn per line; a log line more would not be visible
MARKS = 3  # markers on a line
HIGH, LABEL = 17.0, 1.15  # rem: of the drawing at least, and of a label beside it


@dataclass(frozen=True)
class Line:
    """One line: (x, y) points under a label that no other line of the chart has."""

    label: str
    points: Sequence[tuple[float, float]]


def line_chart(
    lines: Sequence[Line], x_name: str, y_name: str, known: Mapping[str, Look] | None = None
) -> str:
    """Lines over a common x from 0, y from below the lowest to above the highest point; empty without points.

    Every line has its name where it ends, after its marker in its colour, from the top down as the lines
    end; names that would cover each other are moved apart. `known`: looks by label, by default of their own.
    """
    thinned = [Line(line.label, thin(line.points)) for line in lines]
    thinned = sorted((line for line in thinned if line.points), key=lambda line: -line.points[-1][1])
    if not thinned:
        return ""
    look = known or looks(line.label for line in lines)
    x_top = max(x for line in thinned for x, _ in line.points) or 1
    low, high, step = nice_range([y for line in thinned for _, y in line.points])

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return 100 * point[0] / x_top, 100 * (high - point[1]) / (high - low)

    drawn, marks = "", ""
    for number, line in enumerate(thinned):
        places, color = [place(point) for point in line.points], look[line.label].color
        corners = " ".join(f"{x:.2f},{y:.2f}" for x, y in places)
        drawn += (
            f'<polyline stroke="{color}" points="{corners}"><title>{html_text(line.label)}</title></polyline>'
        )
        for x, y in _marked(places, number, len(thinned)):
            at = f"left:{x:.2f}%;top:{y:.2f}%;color:{color}"
            marks += f'<span class="mark" style="{at}">{look[line.label].marker}</span>'
    ticks = [low + i * step for i in range(round((high - low) / step) + 1)][::-1]
    at_ticks = [place((0, tick))[1] for tick in ticks]
    rules = "".join(f'<line class="rule" x1="0" x2="100" y1="{y:g}" y2="{y:g}"/>' for y in at_ticks)
    tall = max(HIGH, LABEL * len(thinned))
    names = _names(thinned, look, [place(line.points[-1])[1] for line in thinned], tall)
    svg = (
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{html_text(y_name)} over {html_text(x_name)}">{rules}{drawn}</svg>'
    )
    y_ticks = "".join(f"<span>{tick:g}</span>" for tick in ticks)
    x_ticks = f"<span>0</span><span>{html_text(x_name)}</span><span>{x_top:g}</span>"
    return (
        f'<div class="chart" style="--high:{tall:g}rem"><div class="y">{y_ticks}</div>'
        f'<div class="plot">{svg}{marks}</div><div class="ends">{names}</div>'
        f'<div class="x">{x_ticks}</div></div>'
    )


def _marked(places: Sequence[tuple[float, float]], number: int, lines: int) -> Sequence[tuple[float, float]]:
    """The points of a line that carry a marker: all of a few; else some, elsewhere on each of the lines."""
    if len(places) <= 2 * MARKS:
        return places
    shares = ((i + (number + 0.5) / lines) / MARKS for i in range(MARKS))
    return [places[int(share * len(places))] for share in shares]


def _names(lines: Sequence[Line], look: Mapping[str, Look], wanted: Sequence[float], tall: float) -> str:
    """The labels beside the ends of the lines, with the last values."""
    names = ""
    for line, top in zip(lines, spread(wanted, 100 * LABEL / tall), strict=True):
        mark = f'<b style="color:{look[line.label].color}">{look[line.label].marker}</b>'
        name = f"{html_text(line.label)} {line.points[-1][1]:.3g}"
        names += f'<span style="top:{top:.2f}%">{mark} {name}</span>'
    return names


def spread(wanted: Sequence[float], least: float) -> list[float]:
    """Rising places in [0, 100], at least `least` apart where they fit, near the wanted ones."""
    least = min(least, 100 / max(len(wanted) - 1, 1))
    found: list[float] = []
    for place in wanted:
        found.append(max(place, found[-1] + least) if found else max(place, 0.0))
    end = 100.0
    for i in reversed(range(len(found))):
        found[i] = min(found[i], end)
        end = found[i] - least
    return found


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
