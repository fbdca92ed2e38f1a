"""Says how far one row of finished cells lies above another, by a test, and draws what the demo saw."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from results.record import Record
from results.store import load_records
from results.tables.paired import LEVEL, Values, difference
from results.tables.significance import summarize

Curve = list[tuple[int, float]]  # (iterations, kNN accuracy in percent)


def knn_curve(log: Path) -> Curve:
    """Reads the kNN accuracies of a pre-training from its log.jsonl."""
    lines = map(json.loads, log.read_text().splitlines())
    return [(line["iteration"], line["knn"]) for line in lines if "knn" in line]


def curve_line(curve: Curve) -> str:
    """The curve in a line of text."""
    values = ", ".join(f"{accuracy:.1f} ({iteration})" for iteration, accuracy in curve)
    return f"kNN accuracy on the drawn objects, by iteration of the live run: {values}"


def values_of(output: Path, init: str, name: str) -> list[float]:
    """The metric `name` ("bbox/AP50") of a row's finished trials, in percent; undefined ones are left out."""
    return [value for _, value in _by_seed(output, init, name)]


def _by_seed(output: Path, init: str, name: str) -> Values:
    task, key = name.split("/")
    found = ((record["seed"], record["metrics"][task].get(key)) for record in _finished(output, init))
    return tuple((seed, value) for seed, value in found if value is not None)


def verdict(output: Path, init: str, against: str, name: str) -> str:
    """Compares two rows in one metric, by the test that makes the stars of the table; one line of text."""
    rows = {label: _by_seed(output, label, name) for label in (init, against)}
    if min(map(len, rows.values())) < 2:
        return f"{name}: fewer than two trials of a row have a value, so there is no test"
    means = {label: summarize([value for _, value in values]) for label, values in rows.items()}
    shown = " against ".join(
        f"{label} {row.mean:.1f} ± {row.std or 0:.1f} ({row.n} seeds)" for label, row in means.items()
    )
    found = difference(rows[init], rows[against])
    if found.p is None:
        return f"{name}: {shown}; no spread, so there is no test"
    says = f"{init if found.gap > 0 else against} is better" if found.p < LEVEL else "no difference is shown"
    return f"{name}: {shown}, p = {found.p:.2g} ({found.test}): {says}"


def draw(output: Path, inits: Sequence[str], name: str, curve: Curve) -> Path:
    """Draws the curve, every trial's metric, and predictions of each row's first trial; returns the file."""
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    heights = [3.5, *[6.5] * len(inits)]
    figure = Figure(figsize=(13, sum(heights)), layout="constrained")
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    knn, trials = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    knn.plot(*zip(*curve, strict=True), marker="o")
    knn.set(title="kNN of the live pre-training", xlabel="iteration", ylabel="accuracy, %")
    for place, init in enumerate(inits):
        values = values_of(output, init, name)
        trials.plot(values, [place] * len(values), "o")
        predictions = figure.add_subplot(grid[1 + place, :], title=init)
        predictions.set_axis_off()
        pictures = [_picture(output, record) for record in _finished(output, init)]
        if pictures and pictures[0].exists():
            predictions.imshow(imread(pictures[0]))
    trials.set(title=f"{name}, a dot a seed", yticks=range(len(inits)), yticklabels=inits)
    trials.margins(y=0.5)
    path = output / "demo.png"
    figure.savefig(path, dpi=90)
    return path


def _finished(output: Path, init: str) -> list[Record]:
    return [r for r in load_records(output) if r["init"] == init and r["status"] == "finished"]


def _picture(output: Path, record: Record) -> Path:
    folders = list((output / "cells" / record["suite"]).glob(f"*-{record['id']}"))
    return folders[0] / "samples.png" if folders else output / "absent"
