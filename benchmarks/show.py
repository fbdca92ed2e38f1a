"""What `--list` and `--dry-run` print: nothing here needs data, a GPU or an engine's library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.inits import NAMES, Init
from benchmarks.plan import Request, make_cells, resolve, scaling_of, seeds, status, why_not_comparable
from benchmarks.suite import GROUPS, Suite, load_suite, suite_names
from transfer.config import RANDOM_MANIFEST, apply_manifest, flatten
from transfer.datasets.registry import describe_layout
from transfer.errors import DataError
from transfer.parameters import count_parameters

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
        print(f"  {suite.name:<22} {suite.reference}; primary {suite.primary}, {suite.trials} trials")
    for group, names in GROUPS.items():
        print(f"  {group:<22} all of: {', '.join(names)}")
    print(f"inits: a converted backbone, a raw checkpoint, or {', '.join(NAMES)}")


def show_plan(suites: Sequence[Suite], inits: Sequence[Init], request: Request) -> None:
    """The resolved recipe and the cells of every suite, with what would be skipped and what is missing."""
    for suite in suites:
        print(f"suite {suite.name} (version {suite.version}): {suite.reference}")
        overridden = [key for key, _ in request.overrides]
        for init in inits:
            manifest = RANDOM_MANIFEST if init.backbone is None else init.backbone.manifest
            cfg = resolve(suite, request, init.label)
            flat = flatten(apply_manifest(cfg, manifest, overridden))
            print(f"recipe {suite.variants.get(init.label, suite.recipe)} for {init.label}:")
            for key, value in flat.items():
                print(f"  {key}: {value}")
            print(_amount(flat))
            print(_parameters(flat))
            scaling = scaling_of(suite, request, init.label)
            if scaling.line:
                print(scaling.line)
            for reason in why_not_comparable(request, scaling):
                print(f"not comparable: {reason}")
        datasets = resolve(suite, request).DATASETS
        _show_cells(suite, inits, request, [*datasets.TRAIN, *datasets.TEST])


def _amount(flat: Mapping[str, Any]) -> str:
    """Iterations, images and, where the sizes of the data sets are known, epochs."""
    iterations = flat["SOLVER.MAX_ITER"]
    images = iterations * flat["SOLVER.IMS_PER_BATCH"]
    sizes = [TRAINING_IMAGES.get(name) for name in flat["DATASETS.TRAIN"]]
    known = [size for size in sizes if size is not None]
    complete = len(known) == len(sizes) and flat["DATALOADER.SAMPLER_TRAIN"] == "TrainingSampler"
    epochs = f", {images / sum(known):.1f} epochs of {sum(known)} images" if complete else ""
    return f"iterations {iterations}, images seen {images} per cell{epochs}"


def _parameters(flat: Mapping[str, Any]) -> str:
    counts = count_parameters(flat)
    parts = ", ".join(f"{part} {c.all / 1e6:.2f}M" for part, c in counts.items())
    everything, trained = (sum(getattr(c, f) for c in counts.values()) for f in ("all", "trainable"))
    return f"parameters {everything / 1e6:.2f}M, trainable {trained / 1e6:.2f}M: {parts}"


def _show_cells(suite: Suite, inits: Sequence[Init], request: Request, datasets: Sequence[str]) -> None:
    """With the data at hand the cells' identities are known, and so is what exists of them."""
    try:
        cells = make_cells(suite, inits, request)
    except DataError as error:
        if suite.datasets:  # no absence of public data, which a dry run may lack: the user's file is at fault
            raise
        print(f"data missing or unusable: {error}")
        for name in datasets:
            print(f"  {name} is expected at {request.data_root}/{describe_layout(name)}")
        for seed in seeds(suite, request):
            for init in inits:
                print(f"cell {suite.name}, {init.label}, seed {seed}: its identity needs the data")
        return
    for cell in cells:
        known = status(cell, request.output)
        what = "would be skipped" if known in ("finished", "failed") else "would run"
        print(f"cell {cell.id} {suite.name}, {cell.init.label}, seed {cell.seed}: {known}, {what}")
