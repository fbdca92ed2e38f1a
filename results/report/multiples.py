"""Draws small multiples: a panel for each data set, with every row at its score and its interval.

Rows stand in one order in all panels, so that a row that moves is seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from results.report.charts import nice_range
from results.report.gaps import gaps
from results.tables.compared import row_interval
from results.tables.escape import html_text
from results.tables.paired import LEVEL
from results.tables.significance import t_quantile
from results.tables.trials import Trials

LEAST = 2  # panels, and rows of one
NOTE = (
    "dots: means; lines: 95 % intervals, over test images where there is one trial, over trials where there "
    "are several; each panel has its own scale"
)
TESTED = "; coloured: differs from {reference}, p &lt; 0.05, corrected for the number of rows (Holm)"


@dataclass(frozen=True)
class Point:
    """A row's score on a data set, in per cent, with the ends of its interval; tone: good, bad or neither."""

    value: float
    ends: tuple[float, float] | None
    tone: str = ""


def multiples(
    suites: Mapping[str, Sequence[Trials]], reference: str | None = None, patient: bool = False
) -> str:
    """The panels as HTML; empty below two data sets with two rows."""
    labels = list(dict.fromkeys(row.label for rows in suites.values() for row in rows))
    panels, against = [], dict[str, None]()
    for suite, rows in suites.items():
        primary = rows[0].records[0]["primary"]
        known = reference if any(row.init == reference for row in rows) else None
        found = {gap.label: gap for gap in gaps(rows, primary, known, patient)}
        points = {}
        for row in rows:
            if (point := _point(row, primary, patient)) is None:
                continue
            gap = found.get(row.label)
            if gap is not None:
                against[gap.against] = None
            points[row.label] = Point(point.value, point.ends, gap.tone if gap else "")
        if len(points) >= LEAST:
            panels.append(_panel(f"{suite} {primary}", labels, points))
    if len(panels) < LEAST:
        return ""
    tested = TESTED.format(reference=html_text(" or ".join(against))) if against else ""
    return (
        f'<h3>Data set by data set</h3><div class="multiples">{"".join(panels)}</div>'
        f'<p class="soft">{NOTE}{tested}</p>'
    )


def _point(row: Trials, metric: str, patient: bool) -> Point | None:
    summary = row.summary(metric)
    if summary is None:
        return None
    ends = row_interval(row, metric, patient)
    if ends is None and summary.std is not None:
        half = t_quantile(LEVEL, summary.n - 1) * summary.std / math.sqrt(summary.n)
        ends = summary.mean - half, summary.mean + half
    return Point(summary.mean, ends)


def _panel(title: str, labels: Sequence[str], points: Mapping[str, Point]) -> str:
    """A dot a row on an axis around all intervals; a row without a number keeps its place."""
    low, high, step = nice_range([end for p in points.values() for end in p.ends or (p.value, p.value)], 4)

    def place(value: float) -> float:
        return 100 * (value - low) / (high - low)

    lines = []
    for label in labels:
        drawn, text = "", "-"
        if (point := points.get(label)) is not None:
            text = f"{point.value:.1f}"
            if point.ends is not None:
                left, right = map(place, point.ends)
                drawn = f'<span class="whisker" style="left:{left:.2f}%;width:{right - left:.2f}%"></span>'
            drawn += f'<span class="dot {point.tone}" style="left:{place(point.value):.2f}%"></span>'
        name = html_text(label)
        lines.append(
            f'<div class="bar"><span class="name" title="{name}">{name}</span>'
            f'<span class="track">{drawn}</span><span class="value">{text}</span></div>'
        )
    ticks = "".join(f"<span>{low + i * step:.4g}</span>" for i in range(round((high - low) / step) + 1))
    axis = f'<div class="bar"><span></span><span class="axis">{ticks}</span><span></span></div>'
    return f"<figure><figcaption>{html_text(title)}</figcaption>{''.join(lines)}{axis}</figure>"
