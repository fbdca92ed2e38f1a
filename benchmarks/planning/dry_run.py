"""Prints `--list` and `--dry-run`, for which neither data nor a GPU nor Detectron2 are needed."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from boltons.strutils import cardinalize

from benchmarks.planning.cells import (
    Cell,
    Request,
    make_cells,
    resolve,
    scaling_of,
    seeds,
    status,
    why_not_comparable,
)
from benchmarks.planning.inits import NAMES, Init
from benchmarks.planning.suite import GROUPS, Suite, load_suite, suite_names
from transfer.datasets.base import Dataset
from transfer.datasets.registry import dataset_names, describe_layout
from transfer.errors import DataError
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resolve import RANDOM_MANIFEST, apply_manifest, flatten, unflatten

# Images that training may draw (of COCO: those with an object that is no crowd).
TRAINING_IMAGES = {
    "voc_2007_trainval": 5011,
    "voc_2012_trainval": 11540,
    "voc_2012_sem_seg_train_aug": 10582,
    "coco_2017_train": 117266,
    "densepose_coco_2014_train": 26437,
    "densepose_coco_2014_valminusminival": 5984,
    "cityscapes_fine_instance_seg_train": 2975,
    "cityscapes_fine_sem_seg_train": 2975,
}


def show_list() -> None:
    """Suites and named inits."""
    print("suites:")
    for suite in map(load_suite, suite_names()):
        trials = f"{suite.trials} {cardinalize('trial', suite.trials)}"
        print(f"  {suite.name:<22} {suite.reference}; primary {suite.primary}, {trials}")
    for group, names in GROUPS.items():
        print(f"  {group:<22} all of: {', '.join(names)}")
    print(f"inits: a converted backbone, a raw checkpoint, or {', '.join(NAMES)}")


def show_plan(suites: Sequence[Suite], inits: Sequence[Init], request: Request) -> None:
    """Every suite's cells, with what would be skipped and what is missing; then every resolved recipe.

    A recipe is printed once, for inits that differ from the first only what differs.
    """
    states: Counter[str] = Counter()
    recipes = []
    for suite in suites:
        print(f"suite {suite.name} (version {suite.version}): {suite.reference}")
        cells = _cells(suite, inits, request, states)
        groups = _groups(suite, inits, request, cells[0].training if cells else None)
        for number, (labels, (facts, flat)) in enumerate(groups):
            rows = f"for {', '.join(labels)}: " if len(groups) > 1 else ""
            lines = facts if number == 0 else [line for line in facts if line not in groups[0][1][0]]
            for line in lines:
                print(f"{rows}{line}")
            recipes.append((suite, labels, flat, groups[0][1][1] if number else {}, groups[0][0]))
    total = sum(states.values())
    print(f"plan: {total} {cardinalize('cell', total)}: {', '.join(f'{n} {s}' for s, n in states.items())}")
    for suite, labels, flat, first, like in recipes:
        name = suite.variants.get(labels[0], suite.recipe)
        but = f", as for {', '.join(like)} but for" if first else ""
        print(f"recipe {name} of suite {suite.name} for {', '.join(labels)}{but}:")
        for key, value in flat.items():
            if key not in first or first[key] != value:
                print(f"  {key}: {value}")


def _cells(suite: Suite, inits: Sequence[Init], request: Request, states: Counter[str]) -> list[Cell]:
    """Prints the cells and counts their states.

    With the data at hand their identities are known, and so is what exists of them; else there are none.
    """
    absent = [init for init in inits if init.absent]
    for seed in seeds(suite, request) if absent else ():
        for init in absent:
            print(f"cell {suite.name}, {init.label}, seed {seed}: a run fetches {init.absent} first")
            states["without their weights"] += 1
    inits = [init for init in inits if not init.absent]
    try:
        cells = make_cells(suite, inits, request)
    except DataError as error:
        if suite.datasets:  # no absence of public data, which a dry run may lack: the user's file is at fault
            raise
        for seed in seeds(suite, request):
            for init in inits:
                print(f"cell {suite.name}, {init.label}, seed {seed}: its identity needs the data")
                states["without their data"] += 1
        says = str(error)
        if says.startswith("data root "):  # the paths that it lists come below
            says = f"{says.partition(';')[0]}; pass --data-root DIR or set DETECTRON2_DATASETS"
        print(f"data missing or unusable: {says}")
        datasets = resolve(suite, request).DATASETS
        for name in dict.fromkeys([*datasets.TRAIN, *datasets.TEST]):
            for line in describe_layout(name).splitlines() if name in dataset_names() else ():
                print(f"  {name} is expected at {request.data_root}/{line}")
        return []
    for cell in cells:
        known = status(cell, request.output)
        what = "would be skipped" if known in ("finished", "failed") else "would run"
        print(f"cell {cell.id} {suite.name}, {cell.init.label}, seed {cell.seed}: {known}, {what}")
        states[known] += 1
    return cells


_Facts = tuple[list[str], dict[str, Any]]  # lines on a recipe, and the flat recipe


def _groups(
    suite: Suite, inits: Sequence[Init], request: Request, training: Sequence[Dataset] | None
) -> list[tuple[list[str], _Facts]]:
    """(labels, facts) of the inits that have one recipe; the first group is that of the first init."""
    groups: list[tuple[list[str], _Facts]] = []
    overridden = [key for key, _ in request.overrides]
    for init in [init for init in inits if not init.absent] or inits:
        manifest = RANDOM_MANIFEST if init.backbone is None else init.backbone.manifest
        flat = flatten(apply_manifest(resolve(suite, request, init.label), manifest, overridden))
        scaling = scaling_of(suite, request, init.label)
        lines = [_amount(flat, training), _parameters(flat)]
        lines += [scaling.line] if scaling.line else []
        lines += [f"not comparable: {reason}" for reason in why_not_comparable(request, scaling)]
        for labels, facts in groups:
            if facts == (lines, flat):
                labels.append(init.label)
                break
        else:
            groups.append(([init.label], (lines, flat)))
    return groups


def _amount(flat: Mapping[str, Any], training: Sequence[Dataset] | None) -> str:
    """Iterations, images and, where the sizes of the data sets are known, epochs."""
    iterations = flat["SOLVER.MAX_ITER"]
    images = iterations * flat["SOLVER.IMS_PER_BATCH"]
    if training is None:
        sizes = [TRAINING_IMAGES.get(name) for name in flat["DATASETS.TRAIN"]]
    else:
        sizes = [_drawn(dataset, flat) for dataset in training]
    known = [size for size in sizes if size]
    complete = len(known) == len(sizes) and flat["DATALOADER.SAMPLER_TRAIN"] == "TrainingSampler"
    epochs = f", {images / sum(known):.1f} epochs of {sum(known)} images" if complete else ""
    return f"iterations {iterations}, images seen {images} per cell{epochs}"


def _drawn(dataset: Dataset, flat: Mapping[str, Any]) -> int | None:
    """How many images training draws from: of COCO's, those with an object that is no crowd.

    Where keypoints or surfaces decide, the number is known of the public sets only.
    """
    table = getattr(dataset.ground_truth, "table", None)
    if table is None or not flat["DATALOADER.FILTER_EMPTY_ANNOTATIONS"]:
        return int(dataset.summary["images"])
    if flat["MODEL.KEYPOINT_ON"] or flat["MODEL.DENSEPOSE_ON"]:
        return TRAINING_IMAGES.get(dataset.name)
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
