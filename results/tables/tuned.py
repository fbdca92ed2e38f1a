"""Writes the footnotes of rows whose learning rate was tuned: budget, candidates, split, the grid's edge."""

from __future__ import annotations

from collections.abc import Sequence

from results.record import Tuned
from results.tables.trials import Trials


def tuned_note(tuned: Tuned) -> str:
    """The footnote of a tuned row."""
    rates = ", ".join(_candidate(one["base_lr"], one["score"]) for one in tuned["candidates"])
    held = tuned["split"]["held_out"]
    edge = "; at the edge of the grid, so a wider one might do better" if tuned["at_edge"] else ""
    return (
        f"tuned: SOLVER.BASE_LR {tuned['base_lr']:g}, the best by {tuned['metric']} of "
        f"{tuned['budget']} ({rates}) on {held['images']} of the {held['of']} images of {held['name']}, held "
        f"out of training; no test image was seen{edge}"
    )


def budget_note(row: Trials, rows: Sequence[Trials]) -> str:
    """The footnote of a row in a table whose rows were tuned by different budgets; empty where all agree."""
    if len({one.identity.get("tune", 0) for one in rows}) < 2:
        return ""
    budget = row.identity.get("tune", 0)
    own = f"{budget} candidate rates" if budget else "none, it has the recipe's rate"
    return f"rows of this table have different tuning budgets; this row's: {own}"


def _candidate(rate: float, score: float | None) -> str:
    return f"{rate:g}: {'diverged' if score is None else f'{score:.1f}'}"
