"""Gives every row a look of its own, a colour and a marker, for all pictures that show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Okabe and Ito's colours, told apart by colour-blind readers too
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f6f00", "#666666"]
MARKERS = "●■▲◆▼★✚"  # seven beside eight colours: both change from row to row, and 56 rows look different


@dataclass(frozen=True)
class Look:
    """The colour of a row's line and the marker on it."""

    color: str
    marker: str


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """A look for each label, in their order."""
    return {
        label: Look(COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)])
        for number, label in enumerate(dict.fromkeys(labels))
    }
