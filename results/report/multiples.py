"""Draws small multiples: a panel for each suite, every row at its gap or score with its interval.

Rows stand in one order in all panels, that of the verdict, so that a row that moves is seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from results.report.dots import Dot, dot_chart
from results.report.gaps import gap_dots
from results.report.html import DOUBTED
from results.report.shown import Shown
from results.tables.cell import less_is_better
from results.tables.compared import row_interval
from results.tables.escape import html_text
from results.tables.lengths import mean_interval
from results.tables.trials import Trials

LEAST = 2  # rows of a panel, and panels
STEPS = 4
NOTE = (
    "gaps to {against} with their 95 % intervals, by the tests of the tables; coloured: p &lt; 0.05, "
    "corrected for the tests of all panels (Holm); intervals are not corrected; an arrow: beyond the axis"
)
SCORES = (
    "scores, where nothing can be compared: 95 % intervals over test images where there is one trial, over "
    "trials where there are several"
)


def multiples(shown: Shown) -> str:
    """The panels as HTML; empty below two suites with two rows. Each has its own scale."""
    panels = [panel for suite in shown.suites if (panel := _panel(suite, shown))]
    if len(panels) < LEAST:
        return ""
    against = dict.fromkeys(gap.against for found in shown.gaps.values() for gap in found)
    notes = [NOTE.format(against=html_text(" or ".join(against)))] if against else []
    notes += [SCORES] if not all(map(shown.gaps.get, shown.suites)) else []
    style = "multiples several" if len(against) > 1 else "multiples"
    return (
        f'<h3>Suite by suite</h3><div class="{style}">{"".join(panels)}</div>'
        f'<p class="soft">{"; ".join(notes)}. Each panel has its own scale.</p>'
    )


def _panel(suite: str, shown: Shown) -> str:
    rows, primary = shown.suites[suite], shown.primary[suite]
    gaps = {gap.row: gap for gap in shown.gaps[suite]}
    if gaps:
        dots = gap_dots([gaps[row.label] for row in rows if row.label in gaps])
        references = {gap.against for gap in gaps.values()}
        means = [(row.label, mean_interval(row, primary)) for row in rows if row.label in references]
        one = len(means) == 1  # of several, no mean is that of all rows
        said = ", ".join([primary, *(f"{label} {made[0]:.1f}" for label, made in means if one and made)])
        said += ", less is better" if less_is_better(primary) else ""
    else:
        dots, said = scores(rows, primary, shown.patient), primary
    if len(dots) + bool(gaps) < LEAST:
        return ""
    title = f'<a href="#{html_text(suite)}">{html_text(suite)}</a> {html_text(said)}'
    return f"<figure><figcaption>{title}</figcaption>{dot_chart(dots, bool(gaps), STEPS)}</figure>"


def scores(rows: Sequence[Trials], metric: str, patient: bool) -> list[Dot]:
    """The means of the rows that have a value, with their intervals."""
    found = []
    for row in rows:
        if (mean := mean_interval(row, metric)) is not None:
            value, half, n = mean
            over_trials = (value - half, value + half) if n > 1 else None
            ends = row_interval(row, metric, patient) or over_trials
            found.append(Dot(row.label, value, ends, f"{value:.1f}{DOUBTED if row.doubted else ''}"))
    return found
