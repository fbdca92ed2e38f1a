"""Plans suites of frozen features: their labelled sets, the metrics of their probes, what cannot run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from benchmarks.errors import UsageError
from benchmarks.planning.recipe import Resolved
from benchmarks.planning.request import Request
from benchmarks.planning.suite_file import Suite
from transfer.datasets.base import Dataset
from transfer.datasets.image_list.own import OwnLabelled
from transfer.datasets.own_file import own_labelled
from transfer.errors import DataError
from transfer.frozen.sets import load_task, metric_of
from transfer.recipes.architectures import architecture_of
from transfer.recipes.frozen import LEARNS, metrics_of_probe
from transfer.recipes.resolve import flatten

ENGINE = "frozen"  # what a record names where no detector is trained
Labelled = Mapping[str, OwnLabelled]


def is_probe(flat: Mapping[str, Any]) -> bool:
    """Whether a flat recipe probes a frozen network."""
    return architecture_of(flat).heads == "probe"


def labelled_sets(suite: Suite, cfg: CfgNode, request: Request) -> dict[str, OwnLabelled]:
    """The labelled sets that the suite's file defines, or those that --data synthetic will draw, by name."""
    names = dict.fromkeys([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST])
    if request.synthetic:
        return {name: drawn(name, request.data_root) for name in names} if is_probe(flatten(cfg)) else {}
    own = own_labelled(suite.datasets, suite.file)
    for one in own.values():
        if one.name not in names:
            raise UsageError(
                f"{one.where} is not used; name it in the recipe's DATASETS.TRAIN or DATASETS.TEST"
            )
    return own


def drawn(name: str, root: Path) -> OwnLabelled:
    """A set of drawn images that stands in for the set of that name, in folders below `root`."""
    folder = root / "labelled" / name
    return OwnLabelled(
        name, {part: folder / part for part in ("train", "test")}, None, metric_of(name, {}), folder
    )


def draw_labelled(own: Labelled) -> None:
    """Draws the stand-ins that are not there yet: six textures, which colour does not tell apart."""
    from transfer.datasets.synthetic.dial import draw_image_set

    for one in own.values():
        folder = one.parts["train"].parent
        if not (folder / "done").exists():
            draw_image_set(folder, clarity=0.8, classes=6, train=12, test=20, side=64)
            (folder / "done").touch()


def check_probe(suite: Suite, recipe: Resolved, own: Labelled, request: Request) -> None:
    """Raises UsageError or DataError for a suite of frozen features that cannot run or be scored."""
    if request.tune:
        raise UsageError(f"{suite.where}: --tune scales learning rates, and a probe has none; leave it out")
    if len(recipe.cfg.DATASETS.TRAIN) != 1:
        raise UsageError(
            f"{suite.where}: DATASETS.TRAIN is {recipe.cfg.DATASETS.TRAIN}; a probe learns from one set"
        )
    _check_metrics(suite, flatten(recipe.written), own, [suite.primary, *suite.metrics])
    _check_metrics(suite, flatten(recipe.cfg), own, [suite.primary])


def _check_metrics(suite: Suite, flat: Mapping[str, Any], own: Labelled, wanted: Sequence[str]) -> None:
    yielded = yielded_by(flat, own)
    for metric in dict.fromkeys(wanted):
        if metric not in yielded:
            field = "primary" if metric == suite.primary else "metrics"
            raise UsageError(
                f"{suite.where}: {field}: {metric} will not be measured; "
                f"PROBE.NAME {flat['PROBE.NAME']!r} on {', '.join(flat['DATASETS.TEST'])} "
                f"yields {', '.join(yielded) or 'nothing'}"
            )


def yielded_by(flat: Mapping[str, Any], own: Labelled) -> list[str]:
    """The metrics that the recipe's probe yields on its test set. DataError for an unknown set."""
    metric = metric_of(flat["DATASETS.TEST"][0], own)
    metric_of(flat["DATASETS.TRAIN"][0], own)
    return metrics_of_probe(flat, metric)


def read_labelled(cfg: CfgNode, root: Path, own: Labelled) -> tuple[list[Dataset[Any]], Dataset[Any]]:
    """Reads, checks and hashes the sets of a suite; the records of their images stay with the cell."""
    found = [_read(name, root, own) for name in dict.fromkeys([cfg.DATASETS.TRAIN[0], cfg.DATASETS.TEST[0]])]
    train, test = found[0], found[-1]
    if train.metadata["image_classes"] != test.metadata["image_classes"]:
        raise DataError(
            f"{train.name} and {test.name} have different classes, or another order of them; a probe of the "
            "first cannot be scored on the second"
        )
    return [train], test


def _read(name: str, root: Path, own: Labelled) -> Dataset[Any]:
    task = load_task(name, root, own)
    counts = task.summary["images"]
    # The metric decides what a probe chooses, and so does what is held out: another of them is another cell.
    told = [task.summary["sha256"], task.metric, task.summary["held_out"]]
    sha256 = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    summary = {**task.summary, "images": counts["test"], "parts": counts, "sha256": sha256}
    return Dataset(name, [], {"evaluator": "class", "image_classes": list(task.classes)}, summary, None)


def told_amount(flat: Mapping[str, Any]) -> str:
    """A line of a dry run: what a cell does."""
    learns = "train and " if flat["PROBE.NAME"] in LEARNS else ""
    side = flat["FEATURES.CROP"]
    return f"features of the {learns}test images at {side} pixels, once a network; then {flat['PROBE.NAME']}"


def own_to_json(own: Labelled) -> dict[str, Any]:
    """The user's sets as a job file holds them."""
    return {
        name: {
            "parts": {part: str(path.absolute()) for part, path in one.parts.items()},
            "images": None if one.images is None else str(one.images.absolute()),
            "metric": one.metric,
            "suite": str(one.suite),
        }
        for name, one in own.items()
    }


def own_from_json(content: Mapping[str, Any]) -> dict[str, OwnLabelled]:
    """Inverts `own_to_json`."""
    return {
        name: OwnLabelled(
            name,
            {part: Path(path) for part, path in one["parts"].items()},
            None if one["images"] is None else Path(one["images"]),
            one["metric"],
            Path(one["suite"]),
        )
        for name, one in content.items()
    }
