"""Draws small multiples: a panel for each data set, with every row at its score and its interval.

Rows stand in one order in all panels, so that a row that moves is seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from results.report.charts import nice_range
from results.report.gaps import gaps
from results.report.html import DOUBTED
from results.tables.compared import row_interval
from results.tables.escape import html_text
from results.tables.lengths import mean_interval
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
    mark: str = ""  # of a doubted number


def multiples(
    suites: Mapping[str, Sequence[Trials]], reference: str | None = None, patient: bool = False
) -> str:
    """The panels as HTML; empty below two data sets with two rows."""
    labels = list(dict.fromkeys(row.label for rows in suites.values() for row in rows))
    panels, against = [], dict[str, None]()
    for suite, rows in suites.items():
        primary = rows[0].records[0]["primary"]
        known = reference if any(row.init == reference for row in rows) else None
        found = {gap.row: gap for gap in gaps(rows, primary, known, patient)}
        against |= dict.fromkeys(gap.against for gap in found.values())
        points = {}
        for row in rows:
            if (mean := mean_interval(row, primary)) is not None:
                value, half, n = mean
                ends = row_interval(row, primary, patient) or (
                    (value - half, value + half) if n > 1 else None
                )
                tone = found[row.label].tone if row.label in found else ""
                points[row.label] = Point(value, ends, tone, DOUBTED if row.doubted else "")
        if len(points) >= LEAST:
            panels.append(_panel(f"{suite} {primary}", labels, points))
    if len(panels) < LEAST:
        return ""
    tested = TESTED.format(reference=html_text(" or ".join(against))) if against else ""
    return (
        f'<h3>Data set by data set</h3><div class="multiples">{"".join(panels)}</div>'
        f'<p class="soft">{NOTE}{tested}</p>'
    )


def _panel(title: str, labels: Sequence[str], points: Mapping[str, Point]) -> str:
    """A dot a row on an axis around all intervals; a row without a number keeps its place."""
    low, high, step = nice_range([end for p in points.values() for end in p.ends or (p.value, p.value)], 4)

    def place(value: float) -> float:
        return 100 * (value - low) / (high - low)

    lines = []
    for label in labels:
        drawn, text = "", "-"
        if (point := points.get(label)) is not None:
            text = f"{point.value:.1f}{point.mark}"
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
