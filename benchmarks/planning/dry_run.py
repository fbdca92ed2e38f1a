"""Prints `--dry-run`, for which neither data nor a GPU nor Detectron2 are needed."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boltons.strutils import cardinalize

from benchmarks.planning.cells import (
    Cell,
    cells_of,
    status,
    why_not_comparable,
    with_facts_of,
)
from benchmarks.planning.evaluation import evaluations
from benchmarks.planning.forecast import told_time
from benchmarks.planning.foresight import Draft
from benchmarks.planning.inits import Init
from benchmarks.planning.labelled import is_probe, told_amount
from benchmarks.planning.request import Request
from benchmarks.planning.retrained import refuse_retrained
from benchmarks.planning.suite_file import Suite
from benchmarks.planning.trials import seeds, seeds_of
from benchmarks.planning.tuning import OF_TRIAL, RATE, candidates_of, factors, tuned_cells
from transfer.datasets.base import Dataset
from transfer.datasets.registry import dataset_names, describe_layout, training_images
from transfer.errors import DataError
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resolve import unflatten


@dataclass
class _Rows:
    """Inits that share one resolved recipe."""

    labels: list[str]
    recipe: dict[str, Any]  # flat
    notes: list[str]  # how it is scaled, and why it is not comparable
    lines: list[str]  # all that is said of it, the notes included


def show_plan(
    drafts: Sequence[Draft], inits: Sequence[Init], hardware: str | None = None, device: str | None = None
) -> None:
    """Prints every suite's cells, what would be skipped and what is missing; then every resolved recipe.

    A recipe is printed once, for inits that differ from the first only what differs. Cells whose data are at
    hand have their time told: `hardware` is the name of what they would run on (None: not this machine).
    """
    states: Counter[str] = Counter()
    todo: list[Cell] = []
    printed: list[tuple[Suite, list[_Rows]]] = []
    for draft in drafts:
        suite = draft.suite
        print(f"suite {suite.name} (version {suite.version}): {suite.reference}")
        cells = _cells(draft, inits, states, todo)
        alike = _alike(draft, inits, cells[0].training if cells else None)
        for rows in alike:
            whose = f"for {', '.join(rows.labels)}: " if len(alike) > 1 else ""
            for line in rows.lines:
                if rows is alike[0] or line not in alike[0].lines:
                    print(f"{whose}{line}")
        printed.append((suite, alike))
    total = sum(states.values())
    print(f"plan: {total} {cardinalize('cell', total)}: {', '.join(f'{n} {s}' for s, n in states.items())}")
    for line in told_time(todo, drafts[0].request, hardware, None, device, starts=False):
        print(line)
    for suite, alike in printed:
        for rows in alike:
            _show_recipe(suite, rows, alike[0])


def _show_recipe(suite: Suite, rows: _Rows, first: _Rows) -> None:
    """Prints the recipe of these rows, whole or as what differs from the first rows' recipe."""
    name = suite.recipe_of(rows.labels[0])
    but = "" if rows is first else f", as for {', '.join(first.labels)} but for"
    print(f"recipe {name} of suite {suite.name} for {', '.join(rows.labels)}{but}:")
    for key, value in rows.recipe.items():
        if rows is first or first.recipe.get(key) != value:
            print(f"  {key}: {value}")


def _cells(draft: Draft, inits: Sequence[Init], states: Counter[str], todo: list[Cell]) -> list[Cell]:
    """Prints the cells, counts their states and adds to `todo` those that would run.

    With the data at hand their identities are known, and so is what exists of them; else there are none.
    """
    suite, request = draft.suite, draft.request
    absent = [init for init in inits if init.absent]
    for name, init in _names(draft, absent):
        print(f"cell {name}: a run fetches {init.absent} first")
        states["without their weights"] += 1
    inits = [init for init in inits if not init.absent]
    try:
        cells = cells_of(draft, inits)
        refuse_retrained(cells, request.output)
        if request.evaluate is not None:
            cells = evaluations(cells, request)
    except DataError as error:
        if suite.datasets:  # no absence of public data, which a dry run may lack: the user's file is at fault
            raise
        for name, _ in _names(draft, inits):
            print(f"cell {name}: its identity needs the data")
            states["without their data"] += 1
        says = str(error)
        if says.startswith("data root "):  # the paths that it lists come below
            says = f"{says.partition(';')[0]}; pass --data-root DIR or set DETECTRON2_DATASETS"
        print(f"data missing or unusable: {says}")
        datasets = draft.recipe.cfg.DATASETS
        for name in dict.fromkeys([*datasets.TRAIN, *datasets.TEST]):
            for line in describe_layout(name).splitlines() if name in dataset_names() else ():
                print(f"  {name} is expected at {request.data_root}/{line}")
        return []
    planned, later = _with_candidates(cells, request) if request.tune else (cells, [])
    for cell in planned:
        known = status(cell, request.output)
        what = "would be skipped" if known in ("finished", "failed") else "would run"
        which = f"tuning, {RATE} {cell.recipe[RATE]:g}" if cell.candidate else f"seed {cell.seed}"
        print(f"cell {cell.id} {suite.name}, {cell.init.label}, {which}: {known}, {what}")
        states[known] += 1
        todo += [] if what == "would be skipped" else [cell]
    todo += later
    for cell in later:
        print(f"cell {suite.name}, {cell.init.label}, seed {cell.seed}: its {RATE} follows from the tuning")
        states["with a rate to come"] += 1
    return cells


def _with_candidates(cells: Sequence[Cell], request: Request) -> tuple[list[Cell], list[Cell]]:
    """(candidates, and trials whose rate is known already; trials whose rate is not known yet)."""
    candidates = candidates_of(cells, request.tune)
    trials, _, _ = tuned_cells(cells, candidates, request.output)
    known = {(cell.init.label, cell.seed) for cell in trials}
    return [*candidates, *trials], [cell for cell in cells if (cell.init.label, cell.seed) not in known]


def _names(draft: Draft, inits: Sequence[Init]) -> Iterator[tuple[str, Init]]:
    """The names of the cells of these rows, whose identities are not known."""
    for factor in factors(draft.request.tune):
        for init in inits:
            rate = draft.recipe_of(init.label).cfg.SOLVER.BASE_LR * factor
            yield f"{draft.suite.name}, {init.label}, tuning, {RATE} {rate:g}", init
    for seed in seeds(draft.suite, draft.request) if inits else ():
        for init in inits:
            if seed in seeds_of(draft, init):
                yield f"{draft.suite.name}, {init.label}, seed {seed}", init


def _alike(draft: Draft, inits: Sequence[Init], training: Sequence[Dataset] | None) -> list[_Rows]:
    """The inits by their recipes, beginning with that of the first init."""
    alike: list[_Rows] = []
    for init in [init for init in inits if not init.absent] or inits:
        resolved = draft.recipe_of(init.label)
        flat, scaling = with_facts_of(init, resolved.cfg, draft.request), resolved.scaling
        notes = [scaling.line] if scaling.line else []
        reasons = why_not_comparable(draft.request, scaling)
        reasons += [OF_TRIAL.format(draft.request.tune)] if draft.request.tune else []
        limit = draft.request.limit
        notes += [f"tested on {limit} images at most, and truncated where there are more"] if limit else []
        notes += [f"not comparable: {reason}" for reason in reasons]
        same = next((rows for rows in alike if (rows.recipe, rows.notes) == (flat, notes)), None)
        if same:
            same.labels.append(init.label)
            continue
        if is_probe(flat):
            lines = [told_amount(flat)]
        else:  # a plan runs no code of a user's; its trial has counted what the module has
            lines = [_amount(flat, training), *([] if init.code else [_parameters(flat)])]
        alike.append(_Rows([init.label], flat, notes, [*lines, *notes]))
    return alike


def _amount(flat: Mapping[str, Any], training: Sequence[Dataset] | None) -> str:
    """A line with iterations, images and, where the sizes of the data sets are known, epochs."""
    iterations = flat["SOLVER.MAX_ITER"]
    images = iterations * flat["SOLVER.IMS_PER_BATCH"]
    if training is None:
        sizes = [training_images(name) for name in flat["DATASETS.TRAIN"]]
    else:
        sizes = [_drawn(dataset, flat) for dataset in training]
    known = [size for size in sizes if size]
    complete = len(known) == len(sizes) and flat["DATALOADER.SAMPLER_TRAIN"] == "TrainingSampler"
    epochs = f", {images / sum(known):.1f} epochs of {sum(known)} images" if complete else ""
    return f"iterations {iterations}, images seen {images} per cell{epochs}"


def _drawn(dataset: Dataset, flat: Mapping[str, Any]) -> int | None:
    """The number of images that training draws from: of COCO's, those with an object that is no crowd.

    Where keypoints or surfaces decide, the number is known of the public sets only.
    """
    table = getattr(dataset.ground_truth, "table", None)
    if table is None or not flat["DATALOADER.FILTER_EMPTY_ANNOTATIONS"]:
        return int(dataset.summary["images"])
    if flat["MODEL.KEYPOINT_ON"] or flat["MODEL.DENSEPOSE_ON"]:
        return training_images(dataset.name)
    return len(set(table.rows["image_id"][table.rows["iscrowd"] == 0].tolist()))


def _parameters(flat: Mapping[str, Any]) -> str:
    counts = _counted(json.dumps({key: value for key, value in flat.items() if key.startswith("MODEL.")}))
    parts = ", ".join(f"{part} {number / 1e6:.2f}M" for part, (number, _) in counts.items())
    everything, trained = map(sum, zip(*counts.values(), strict=True))
    return f"parameters {everything / 1e6:.2f}M, trainable {trained / 1e6:.2f}M: {parts}"


@functools.lru_cache(maxsize=64)  # the suites of a plan share their models
def _counted(model: str) -> dict[str, tuple[int, int]]:
    """Part -> (its parameters, those that train), of the model that these keys (JSON) describe.

    The model is built, on torch's meta device, which holds no numbers. Torch takes seconds to import, so it
    is not before something is counted.
    """
    import torch

    from transfer.engines.choose import load_engine

    flat = json.loads(model)
    cfg, row, engine = unflatten(flat), architecture_of(flat), load_engine("torchvision")
    with torch.device("meta"):
        built = engine.build(cfg, torch.device("meta"))
    tensors = zip(engine.state(built), built.state_dict(keep_vars=True).values(), strict=True)
    found: dict[str, list[torch.Tensor]] = {}
    for name, tensor in tensors:  # of a frozen norm there are none: its numbers are buffers
        own = found.setdefault(row.part(name), [])
        own += [tensor] if isinstance(tensor, torch.nn.Parameter) else []
    return {
        part: (sum(p.numel() for p in found[part]), sum(p.numel() for p in found[part] if p.requires_grad))
        for part in ("backbone", *row.fresh)
        if part in found
    }
