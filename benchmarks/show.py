"""What `--list` and `--dry-run` print: nothing here needs data, a GPU or an engine's library."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.inits import NAMES, Init
from benchmarks.plan import Request, make_cells, resolve, seeds, status, why_not_comparable
from benchmarks.suite import GROUPS, Suite, load_suite, suite_names
from transfer.config import RANDOM_MANIFEST, apply_manifest, flatten
from transfer.datasets.registry import describe_layout
from transfer.errors import DataError


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
        cfg = resolve(suite, request)
        print(f"suite {suite.name} (version {suite.version}): {suite.reference}")
        overridden = [key for key, _ in request.overrides]
        for init in inits:
            manifest = RANDOM_MANIFEST if init.backbone is None else init.backbone.manifest
            flat = flatten(apply_manifest(cfg, manifest, overridden))
            print(f"recipe {suite.recipe} for {init.label}:")
            for key, value in flat.items():
                print(f"  {key}: {value}")
        images = cfg.SOLVER.MAX_ITER * cfg.SOLVER.IMS_PER_BATCH
        print(f"iterations {cfg.SOLVER.MAX_ITER}, images seen {images} per cell")
        for reason in why_not_comparable(request):
            print(f"not comparable: {reason}")
        _show_cells(suite, inits, request, [*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST])


def _show_cells(suite: Suite, inits: Sequence[Init], request: Request, datasets: Sequence[str]) -> None:
    """With the data at hand the cells' identities are known, and so is what exists of them."""
    try:
        cells = make_cells(suite, inits, request)
    except DataError as error:
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
