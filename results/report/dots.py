"""Draws rows as dots with their intervals on one axis: gaps around zero, or scores where there are none.

Bars from zero would make half a point a few pixels. A dot stands where its value is on an axis around the
intervals, and is named at its side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from results.report.axis import nice_range
from results.tables.escape import html_text

# A row this many median gaps away (random weights) is drawn at the edge, or it would hide the others.
FAR = 5
LEAST_FAR = 0.1  # points: of the median gap that this is measured by


@dataclass(frozen=True)
class Dot:
    """A row's value with the ends of its 95 % interval; tone: good, bad or neither; `published`: hollow."""

    label: str
    value: float
    ends: tuple[float, float] | None
    text: str
    tone: str = ""
    published: bool = False


def dot_chart(dots: Sequence[Dot], around_zero: bool, most: int = 6, also: Sequence[float] = ()) -> str:
    """The dots in their order over an axis of at most `most` steps; empty without dots.

    `also`: further values that the axis has room for, so that several charts have one scale.
    `around_zero`: the values are gaps; zero is drawn, a dot far beyond the others is an arrow at the edge.
    """
    if not dots:
        return ""
    near = _near(dots) if around_zero else list(dots)
    ends = [end for dot in near for end in dot.ends or (dot.value, dot.value)]
    low, high, step = nice_range([*([0.0] if around_zero else []), *also, *ends], most)

    def place(value: float) -> float:
        return 100 * min(max((value - low) / (high - low), 0), 1)

    rows = "".join(
        _row(dot, place, around_zero, not low <= dot.value <= high and dot not in near) for dot in dots
    )
    count = round((high - low) / step)
    sign = "+" if around_zero else ""
    ticks = "".join(f"<span>{low + i * step:{sign}.4g}</span>" for i in range(count + 1)).replace("+0<", "0<")
    axis = f'<div class="row"><span></span><span class="axis">{ticks}</span><span></span></div>'
    return f'<div class="dots" style="--step:{100 / count:.4f}%">{rows}{axis}</div>'


def _row(dot: Dot, place: Callable[[float], float], around_zero: bool, beyond: bool) -> str:
    """The name, the dot on its line and the text; `place`: from values to per cent of the axis.

    `beyond`: the value is not on the axis; an arrow says on which side.
    """
    at, name, text = place(dot.value), html_text(dot.label), html_text(dot.text)
    drawn = f'<span class="zero" style="left:{place(0):.2f}%"></span>' if around_zero else ""
    if dot.ends:
        left, right = map(place, dot.ends)
        drawn += f'<span class="whisker" style="left:{left:.2f}%;width:{right - left:.2f}%"></span>'
    kinds = ["dot", dot.tone, "hollow" if dot.published else ""]
    kinds += ["far", "left" if dot.value < 0 else "right"] if beyond else []
    drawn += f'<span class="{" ".join(filter(None, kinds))}" style="left:{at:.2f}%"></span>'
    return (
        f'<div class="row{" published" if dot.published else ""}"><span class="name" title="{name}">{name}'
        f'</span><span class="track">{drawn}</span><span class="value">{text}</span></div>'
    )


def _near(dots: Sequence[Dot]) -> list[Dot]:
    sizes = sorted(abs(dot.value) for dot in dots)
    limit = FAR * max(sizes[len(sizes) // 2], LEAST_FAR)
    return [dot for dot in dots if abs(dot.value) <= limit]
