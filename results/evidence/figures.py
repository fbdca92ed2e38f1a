"""Draws the curves of a study as PNG, in the colours of the report, with 95 % intervals over the trials."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from results.looks import COLORS
from results.tables.lengths import Curve, mean_interval
from results.tables.paired import difference
from results.tables.trials import Trials

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (4.2, 3.1)  # inches of a panel
DPI = 100
LINES = ("-", "--", ":", "-.")


def schedule_figure(curve: Curve, references: Sequence[Trials]) -> bytes:
    """The metric over the schedule's length, and beside it the gaps to the first reference's init."""
    init = references[0].init if references else ""
    others = [label for label in curve.lines if label != init] if init in curve.lines else []
    figure, panels = _panels(2 if others else 1)
    for number, (label, points) in enumerate(curve.lines.items()):
        _draw(
            panels[0],
            label,
            [(p.x, *found[:2]) for p in points if (found := mean_interval(p.row, curve.metric))],
            number,
        )
    panels[0].set(xlabel=curve.x_name, ylabel=curve.metric, title=curve.title)
    for number, label in enumerate(curve.lines):
        if label in others:
            _draw(panels[1], label, gaps(curve, label, init), number)
    if others:
        panels[1].axhline(0, color="#666666", linewidth=1)
        panels[1].set(xlabel=curve.x_name, ylabel=f"gap to {init}", title="gap, 95 % interval")
    for panel in panels:
        _ticks(panel, sorted({p.x for points in curve.lines.values() for p in points}))
        _legend(panel)
    return _png(figure)


def gaps(curve: Curve, label: str, reference: str) -> list[tuple[float, float, float]]:
    """(length, gap, half of its interval) wherever both lines have a value, of equal data and recipe.

    The half is 0 without a test.
    """
    theirs = {point.x: point.row for point in curve.lines[reference]}
    found = []
    for point in curve.lines[label]:
        row = theirs.get(point.x)
        if row is None or point.row.differs_from(row):
            continue
        ours = point.row.values(curve.metric)
        if ours and row.values(curve.metric):
            made = difference(ours, row.values(curve.metric))
            found.append((point.x, made.gap, made.half or 0.0))
    return found


def length_figure(
    curves: Sequence[Curve], frozen: Mapping[str, Mapping[str, float]], lengths: Mapping[str, float]
) -> bytes:
    """A panel for every suite and one for the frozen results, over the length of pre-training."""
    figure, panels = _panels(len(curves) + bool(frozen))
    for panel, curve in zip(panels, curves, strict=False):
        for number, (label, points) in enumerate(curve.lines.items()):
            made = [(p.x, *found[:2]) for p in points if (found := mean_interval(p.row, curve.metric))]
            _draw(panel, label, made, number)
        if len(curve.lines) > 1:
            _legend(panel)
        panel.set(xlabel=curve.x_name, ylabel=curve.metric, title=curve.title)
    if frozen:
        for number, (column, values) in enumerate(frozen.items()):
            line = sorted((lengths[init], value, 0.0) for init, value in values.items() if init in lengths)
            _draw(panels[-1], column, line, number)
        panels[-1].set(xlabel=curves[0].x_name, ylabel="top-1, %", title="frozen features")
        _legend(panels[-1])
    return _png(figure)


def _panels(count: int) -> tuple[Any, list[Axes]]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, count, figsize=(SIZE[0] * count, SIZE[1]), squeeze=False)
    return figure, list(panels[0])


def _draw(panel: Axes, label: str, points: Sequence[tuple[float, float, float]], number: int) -> None:
    if points:
        x, y, half = zip(*points, strict=True)
        color, style = COLORS[number % len(COLORS)], LINES[number // len(COLORS) % len(LINES)]
        panel.errorbar(
            x, y, yerr=half, label=label, color=color, linestyle=style, marker="o", markersize=4, capsize=3
        )


def _legend(panel: Axes) -> None:
    """Below the axes, for inside it would lie on an interval."""
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3, frameon=False, fontsize="small")


def _ticks(panel: Axes, lengths: Sequence[float]) -> None:
    """A doubling is a step, as schedules are doubled; the lengths themselves are the ticks."""
    panel.set_xscale("log", base=2)
    panel.set_xticks(lengths, [f"{x:g}" for x in lengths])
    panel.minorticks_off()


def _png(figure: Any) -> bytes:
    from matplotlib import pyplot

    stream = io.BytesIO()
    figure.tight_layout()
    figure.savefig(stream, dpi=DPI, format="png", metadata={"Software": None})  # no version in the file
    pyplot.close(figure)
    return stream.getvalue()
