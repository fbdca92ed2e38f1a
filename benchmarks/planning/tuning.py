"""Plans `--tune N`: every row tries the same N learning rates on a split of train; its trials take the best.

A candidate is a cell like others. It trains on the `fit` parts of the training sets and is scored on the
`hold` part of the first (transfer/datasets/split.py). The test set is no part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.planning.cells import Cell
from benchmarks.planning.request import TUNING_SEED
from results.record import Candidate, Record, Split, Tried, Tuned, flat_metrics
from results.store import find_record
from transfer.datasets.base import Dataset
from transfer.datasets.split import FIT, HOLD, RULE, part_of
from transfer.evaluation.prediction import NOT_FINITE
from transfer.recipes.identity import recipe_sha256

RATE, TRAIN, TEST = "SOLVER.BASE_LR", "DATASETS.TRAIN", "DATASETS.TEST"
OF_CANDIDATE = "a candidate of a tuning: trained and scored on parts of the training set"
OF_TRIAL = "tuned: SOLVER.BASE_LR is the best of {} on a split of train"
Row = tuple[str, str]  # suite, init


def factors(budget: int) -> list[float]:
    """The grid, of the recipe's own rate: powers of 2 around 1; of an even number one more lies below 1."""
    return [2.0 ** (place - budget // 2) for place in range(budget)]


def candidates_of(cells: Sequence[Cell], budget: int) -> list[Cell]:
    """The candidates of the rows of all suites: of a suite, all rows of one rate before the next rate.

    DataError where a training set is too small to be split.
    """
    suites: dict[str, dict[Row, Cell]] = {}
    for cell in cells:
        suites.setdefault(cell.suite.name, {}).setdefault(_row(cell), cell)
    found = []
    for rows in suites.values():
        training = next(iter(rows.values())).training  # a suite's rows share it
        fit, hold = [part_of(dataset, FIT) for dataset in training], part_of(training[0], HOLD)
        found += [_candidate(cell, factor, fit, hold) for factor in factors(budget) for cell in rows.values()]
    return found


def tuned_cells(
    cells: Sequence[Cell], candidates: Sequence[Cell], output: Path
) -> tuple[list[Cell], list[str], list[str]]:
    """(the trials of rows whose rate is known, a line on each choice, a line on each row without one).

    `cells` are the trials at the recipe's rate.
    """
    tried: dict[Row, list[Cell]] = {}
    for candidate in candidates:
        tried.setdefault(_row(candidate), []).append(candidate)
    first = {_row(cell): cell for cell in reversed(cells)}
    chosen: dict[Row, Tuned] = {}
    said, open_rows = [], []
    for row, of_row in tried.items():
        records = [find_record(output, one.suite.name, one.id) for one in of_row]
        title = f"tuning: {row[0]}, {row[1]}"
        problem = next(_problems(of_row, records), "")
        if problem:
            open_rows.append(f"{title}: no rate yet: {problem}")
            continue
        chosen[row] = _best(of_row, records, first[row])
        said.append(f"{title}: {_told(chosen[row])}")
    return [_tuned(cell, chosen[_row(cell)]) for cell in cells if _row(cell) in chosen], said, open_rows


def _row(cell: Cell) -> Row:
    return cell.suite.name, cell.init.label


def _candidate(cell: Cell, factor: float, fit: list[Dataset], hold: Dataset) -> Cell:
    """The cell of a row, at the recipe's rate, as a candidate."""
    rate = cell.recipe[RATE] * factor
    recipe = cell.recipe | {RATE: rate, TRAIN: [part.name for part in fit], TEST: [hold.name]}
    split: Split = {"rule": RULE, "fit": [_entry(part) for part in fit], "held_out": _entry(hold)}
    candidate: Candidate = {"base_lr": rate, "factor": factor, "split": split}
    identity = cell.identity | {
        "recipe_sha256": recipe_sha256(recipe),
        "data_sha256": "+".join(part.summary["sha256"] for part in [*fit, hold]),
        "seed": TUNING_SEED,
    }
    names = [dataset.name for dataset in cell.training]
    return replace(
        cell,
        trial=0,
        seed=TUNING_SEED,
        recipe=recipe,
        training=fit,
        test=hold,
        own={name: one for name, one in cell.own.items() if name in names},
        identity=identity,
        not_comparable_because=[*cell.not_comparable_because, OF_CANDIDATE],
        candidate=candidate,
    )


def _entry(part: Dataset) -> dict[str, object]:
    """A part as records tell it: of which data set, how many of its images, hash."""
    whole = part.summary["part_of"]
    counts = {"images": part.summary["images"], "of": whole["images"]}
    return {"name": whole["name"], **counts, "sha256": part.summary["sha256"]}


def _problems(candidates: Sequence[Cell], records: Sequence[Record | None]) -> Iterator[str]:
    """Why the rate of a row cannot be chosen, if it cannot."""
    scores = []
    for cell, record in zip(candidates, records, strict=True):
        what = f"{RATE} {cell.recipe[RATE]:g}"
        if record is None or record["status"] in ("interrupted", "running"):
            yield f"{what} is {record['status'] if record else 'not run'}; the same command goes on"
        elif record["status"] == "failed" and not diverged(record):
            why = (record["error"] or "").splitlines()[0]
            yield f"{what} failed: {why}; --retry-failed runs it again"
        elif record["status"] == "finished":
            scores.append(_score(record))
    if None in scores:
        metric, held = candidates[0].suite.primary, candidates[0].test.name
        yield f"{metric} is undefined on {held}, whose images have no such object; leave --tune out"
    if not scores:
        yield "all candidates diverged; lower SOLVER.BASE_LR"


def diverged(record: Record) -> bool:
    """Whether a failed cell ended because its numbers were no longer finite."""
    from transfer.training.finite import ADVICE  # torch, which a plan does without

    first = (record.get("error") or " ").splitlines()[0]
    return first.endswith(ADVICE) or NOT_FINITE in first


def _score(record: Record) -> float | None:
    return flat_metrics(record)[record["primary"]]


def _best(candidates: Sequence[Cell], records: Sequence[Record | None], trial: Cell) -> Tuned:
    """The choice of a row: the highest score, of equal ones the smallest rate; one that diverged is worst."""
    tried: list[Tried] = [
        {
            "base_lr": cell.recipe[RATE],
            "id": cell.id,
            "score": _score(record) if record and record["status"] == "finished" else None,
        }
        for cell, record in zip(candidates, records, strict=True)
    ]
    scored = [(one["score"], -one["base_lr"]) for one in tried if one["score"] is not None]
    rate = -max(scored)[1]
    how = next(cell.candidate for cell in candidates if cell.recipe[RATE] == rate)
    assert how is not None
    return {
        "budget": len(tried),
        "base_lr": rate,
        "factor": how["factor"],
        "at_edge": rate in (tried[0]["base_lr"], tried[-1]["base_lr"]),
        "metric": trial.suite.primary,
        "candidates": tried,
        "split": how["split"],
        "stands_for_sha256": trial.identity["recipe_sha256"],
    }


def _told(choice: Tuned) -> str:
    scores = ("diverged" if one["score"] is None else f"{one['score']:.2f}" for one in choice["candidates"])
    rates = (f"{one['base_lr']:g}: {score}" for one, score in zip(choice["candidates"], scores, strict=True))
    edge = "; at the edge of the grid" if choice["at_edge"] else ""
    return f"{RATE} {choice['base_lr']:g} by {choice['metric']} on held-out images ({', '.join(rates)}){edge}"


def _tuned(cell: Cell, choice: Tuned) -> Cell:
    """The trial at the chosen rate, another cell than the untuned one whatever the rate is."""
    recipe = cell.recipe | {RATE: choice["base_lr"]}
    identity = cell.identity | {"recipe_sha256": recipe_sha256(recipe), "tune": choice["budget"]}
    reasons = [*cell.not_comparable_because, OF_TRIAL.format(choice["budget"])]
    return replace(cell, recipe=recipe, identity=identity, not_comparable_because=reasons, tuned=choice)
