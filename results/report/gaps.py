"""Answers whether a row transfers better than the supervised one: gaps, their intervals, and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from results.report.charts import nice_range
from results.report.html import DOUBTED
from results.tables.cell import less_is_better, signed
from results.tables.compared import row_difference
from results.tables.escape import html_text
from results.tables.paired import LEVEL, holm
from results.tables.suite import find_baselines, find_reference
from results.tables.trials import Trials

# A row this many median gaps away (random weights) is drawn at the edge, or it would hide the others.
FAR = 5


@dataclass(frozen=True)
class Gap:
    """A row's gap to the supervised one in one metric.

    The ends of its 95 % interval and the p-value `p` need two trials a side, or their outcomes by image; None
    without them. `p` is corrected for the number of rows (Holm), the interval is not.
    """

    label: str
    row: str  # the label without a mark of doubt
    value: float
    ends: tuple[float, float] | None
    p: float | None
    against: str
    test: str = ""
    lower: bool = False  # less is better

    @property
    def better(self) -> float:
        """The gap in the direction in which more is better."""
        return -self.value if self.lower else self.value

    @property
    def tone(self) -> str:
        """ "good", "bad" or "": the colour of the gap."""
        if self.p is None or self.p >= LEVEL:
            return ""
        return "good" if self.better > 0 else "bad"

    @property
    def half(self) -> float | None:
        """Half of the interval, the longer part of one that is not even."""
        return None if self.ends is None else max(self.ends[1] - self.value, self.value - self.ends[0])

    @property
    def text(self) -> str:
        """The gap with half of its interval: "+3.0 ± 0.3"."""
        return signed(self.value) + ("" if self.half is None else f" ± {self.half:.1f}")


def gaps(
    rows: Sequence[Trials], metric: str, reference: str | None = None, patient: bool = False
) -> list[Gap]:
    """The gaps of all rows that may be compared, the best first; `metric` is a flat name."""
    baselines, lower = find_baselines(rows, reference), less_is_better(metric)
    found = []
    for row in rows:
        against = find_reference(row, baselines)
        if against is None:
            continue
        ours, theirs = row.values(metric), against.values(metric)
        if ours and theirs:
            label = row.label + (DOUBTED if row.doubted or against.doubted else "")
            made = row_difference(row, against, metric, patient)
            found.append(
                Gap(label, row.label, made.gap, made.interval, made.p, against.label, made.test, lower)
            )
    corrected = holm([gap.p for gap in found])
    found = [replace(gap, p=p) for gap, p in zip(found, corrected, strict=True)]
    return sorted(found, key=lambda gap: -gap.better)


def answers(
    suites: Mapping[str, Sequence[Trials]], reference: str | None = None, patient: bool = False
) -> str:
    """Better, worse or not shown: the answers of every suite in its primary metric, as HTML.

    It is empty where nothing can be compared.
    """
    blocks: list[str] = []
    against: dict[str, None] = {}
    tests: dict[str, None] = {}
    for suite, rows in suites.items():
        primary = rows[0].records[0]["primary"]
        known = reference if any(row.init == reference for row in rows) else None
        found = gaps(rows, primary, known, patient)
        if not found:
            continue
        tested = [gap for gap in found if gap.p is not None]
        sure = [gap for gap in tested if gap.p is not None and gap.p < LEVEL]
        groups = {
            '<b class="good">better</b>': [gap for gap in sure if gap.better > 0],
            "<b>no difference shown</b>": [gap for gap in tested if gap not in sure],
            '<b class="bad">worse</b>': [gap for gap in sure if gap.better <= 0],
            "<b>not tested, too few trials</b>": [gap for gap in found if gap.p is None],
        }
        against |= dict.fromkeys(gap.against for gap in found)
        tests |= dict.fromkeys(gap.test for gap in tested)
        parts = [f"<strong>{html_text(f'{suite} {primary}')}</strong>"]
        for words, group in groups.items():
            if group:
                parts.append(f"{words} {html_text(', '.join(f'{g.label} {signed(g.value)}' for g in group))}")
        blocks.append(f"<p>{'<br>'.join(parts)}</p>")
    if not blocks:
        return ""
    note = "gaps in the primary metric"
    if tests:
        by = html_text(" or ".join(tests))
        note += f"; better and worse: p &lt; 0.05 by {by}, two-sided, corrected for the number of rows (Holm)"
    heading = f"<h3>Better than {html_text(' or '.join(against))}?</h3>"
    return f'{heading}<div class="verdict">{"".join(blocks)}</div><p class="notes">{note}</p>'


def gap_chart(found: Sequence[Gap]) -> str:
    """A dot per row with its interval, on an axis around zero, the best row first."""
    if not found:
        return ""
    sizes = sorted(abs(gap.value) for gap in found)
    near = [gap for gap in found if abs(gap.value) <= FAR * max(sizes[len(sizes) // 2], 0.1)]
    ends = [end for gap in near for end in gap.ends or (gap.value, gap.value)]
    low, high, step = nice_range([0.0, *ends])

    def place(value: float) -> float:
        return 100 * min(max((value - low) / (high - low), 0), 1)

    lines = []
    for gap in found:
        whisker = ""
        if gap.ends is not None:
            left, right = map(place, gap.ends)
            whisker = f'<span class="whisker" style="left:{left:.3f}%;width:{right - left:.3f}%"></span>'
        tone = f" {gap.tone}" if gap.tone else ""
        edge = " far" if gap not in near else ""
        lines.append(
            f'<div class="bar"><span class="name">{html_text(gap.label)}</span><span class="track">'
            f'<span class="reference" style="left:{place(0):.3f}%"></span>'
            f'{whisker}<span class="dot{tone}{edge}" style="left:{place(gap.value):.3f}%"></span></span>'
            f'<span class="value">{gap.text}</span></div>'
        )
    ticks = "".join(
        f"<span>{low + i * step:+.3g}</span>" for i in range(round((high - low) / step) + 1)
    ).replace("+0<", "0<")
    axis = f'<div class="bar"><span></span><span class="axis">{ticks}</span><span></span></div>'
    against = ", ".join(dict.fromkeys(html_text(gap.against) for gap in found))
    tests = html_text(" or ".join(dict.fromkeys(gap.test for gap in found if gap.test)))
    note = (
        f"gap to {against} with its 95 % interval{f', by {tests}' if tests else ''}; coloured: p &lt; 0.05, "
        "corrected for the number of rows (Holm); an arrow: beyond the axis"
    )
    return f'<div class="bars gaps">{"".join(lines)}{axis}</div><p class="soft">{note}</p>'
