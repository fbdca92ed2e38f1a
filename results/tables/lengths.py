"""Finds the rows of a study that differ in length: of the schedule over suites, of pre-training within one.

Suites belong to one curve where data, engine and primary metric are the same, their recipes differ in SOLVER
keys alone, and no two have one length. Rows are checkpoints of one run where their names say so (epoch_08,
byol_epoch_2.5, it_3500), or about.md. Rows without a rank (`Trials.unranked`) are in no curve.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from results.tables.checkpoint_names import length_of, run_of
from results.tables.paired import LEVEL
from results.tables.significance import summarize, t_quantile
from results.tables.trials import Trials

SCHEDULE = "SOLVER.MAX_ITER"
LEAST = 3  # checkpoints; two are a comparison


@dataclass(frozen=True)
class Point:
    """One row at one length."""

    x: float
    row: Trials


@dataclass(frozen=True)
class Curve:
    """Lines of points over a common length; `lines`: label -> points by length."""

    title: str
    x_name: str
    metric: str
    lines: dict[str, list[Point]]


def schedule_curves(groups: Mapping[str, Sequence[Trials]]) -> list[Curve]:
    """A curve for every set of at least two suites that differ in their schedule alone; a line per init."""
    ranked = {suite: [row for row in rows if not row.unranked] for suite, rows in groups.items()}
    groups = {suite: rows for suite, rows in ranked.items() if rows}
    alike: list[list[str]] = []
    for suite in groups:
        home = next((names for names in alike if _belongs(suite, names, groups)), None)
        if home is None:
            alike.append([suite])
        else:
            home.append(suite)
    curves = []
    for names in alike:
        lines: dict[str, list[Point]] = {}
        for name in names:
            inits = Counter(row.init for row in groups[name])
            for row in groups[name]:
                if row.values(_primary(groups[name])):
                    # several recipes under one init are no single line
                    label = row.init if inits[row.init] == 1 else row.label
                    lines.setdefault(label, []).append(Point(row.records[0]["recipe"][SCHEDULE], row))
        for points in lines.values():
            points.sort(key=lambda point: point.x)
        if max(map(len, lines.values()), default=0) > 1:
            title = re.sub(r"[_.-]x?$", "", os.path.commonprefix(names)) or names[0]
            curves.append(Curve(title, "iterations of fine-tuning", _primary(groups[names[0]]), lines))
    return curves


def _primary(rows: Sequence[Trials]) -> str:
    return rows[0].records[0]["primary"]


def _belongs(suite: str, names: Sequence[str], groups: Mapping[str, Sequence[Trials]]) -> bool:
    taken = {_schedule(groups[name]) for name in names}
    return _schedule(groups[suite]) not in taken and _differ_in_schedule(groups[names[0]], groups[suite])


def _schedule(rows: Sequence[Trials]) -> int | None:
    return rows[0].records[0]["recipe"].get(SCHEDULE)


def _differ_in_schedule(some: Sequence[Trials], others: Sequence[Trials]) -> bool:
    """Whether two suites have a row of one init that differs in SOLVER keys alone."""
    by_init = {row.init: row for row in some}
    pairs = [(by_init[row.init], row) for row in others if row.init in by_init]
    alike = (_facts(a) == _facts(b) and _one_source(a, b) for a, b in pairs)
    return _primary(some) == _primary(others) and any(alike)


def _one_source(a: Trials, b: Trials) -> bool:
    """Whether trials of one seed have the same weights; rows over pre-trainings have others for each seed."""
    return all(a.files[seed] == b.files[seed] for seed in a.files.keys() & b.files.keys())


def _facts(row: Trials) -> dict[str, object]:
    identity = ("data_sha256", "engine", "engine_version", "backbone_sha256", "checkpoints")
    recipe = row.records[0]["recipe"]
    if SCHEDULE not in recipe:
        return {"none like it": id(row)}
    facts = {name: row.identity.get(name) for name in identity}
    return facts | {key: value for key, value in recipe.items() if not key.startswith("SOLVER.")}


def length_curves(groups: Mapping[str, Sequence[Trials]], lengths: Mapping[str, float]) -> list[Curve]:
    """A curve for every suite with at least LEAST checkpoints of one run; a line per run.

    `lengths`: init -> length, beside what the names say. Such a row belongs to the run that has its name
    (`byol` to that of byol_it_132); another belongs to none, and so to every line.
    """
    curves = []
    for suite, rows in groups.items():
        known = {run_of(row.init) for row in rows if length_of(row.init, {})} - {""}
        units: dict[str, None] = {}
        runs: dict[str, list[Point]] = {}
        shared: list[Point] = []
        for row in rows:
            if row.unranked or (length := length_of(row.init, lengths)) is None:
                continue
            units |= {length[1]: None} if length[1] else {}
            run = row.init if row.init in known else run_of(row.init)
            home = shared if row.init in lengths and row.init not in known else runs.setdefault(run, [])
            home.append(Point(length[0], row))
        lines = [(run, [*shared, *points]) for run, points in (runs or {"": []}).items()]
        lines = [(run, line) for run, line in lines if len({point.x for point in line}) >= LEAST]
        if lines:
            names = [run if len(lines) > 1 else _primary(rows) for run, _ in lines]
            sorted_ = [sorted(line, key=lambda point: point.x) for _, line in lines]
            x_name = " or ".join(units) or "pre-training"
            curves.append(Curve(suite, x_name, _primary(rows), dict(zip(names, sorted_, strict=True))))
    return curves


def mean_interval(row: Trials, metric: str) -> tuple[float, float, int] | None:
    """(mean, half of Student's 95 % interval, trials); the half is 0 below two trials. None: no value."""
    return interval_of([value for _, value in row.values(metric)])


def interval_of(values: Sequence[float]) -> tuple[float, float, int] | None:
    """The same of any values, one a trial."""
    if not values:
        return None
    found = summarize(values)
    half = 0.0 if found.std is None else t_quantile(LEVEL, found.n - 1) * found.std / math.sqrt(found.n)
    return found.mean, half, found.n
