"""Plans suites of frozen features: their sets, the metrics of their probes, what cannot run."""

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
from transfer.datasets.coco.own import OwnDataset
from transfer.datasets.corruptions.constants import NAMES, SEVERITIES
from transfer.datasets.image_list.own import OwnLabelled
from transfer.datasets.image_list.parts import Task, limited_task
from transfer.datasets.image_list.public.class_folders import positions
from transfer.datasets.image_list.public.revisited import SETS, RetrievalSet
from transfer.datasets.limit import limited
from transfer.datasets.own_file import own_labelled
from transfer.datasets.registry import load_dataset
from transfer.errors import DataError
from transfer.evaluation.names import evaluator_of
from transfer.frozen.sets import load_queries, load_task, metric_of
from transfer.probes.protocols import EPISODE_QUERIES
from transfer.recipes.architectures import architecture_of
from transfer.recipes.frozen import DISCOVERY, LEARNS, REVISITED, metrics_of_probe
from transfer.recipes.resolve import flatten

ENGINE = "frozen"  # what a record names where no detector is trained
Labelled = Mapping[str, OwnLabelled]
Boxes = Mapping[str, OwnDataset]


def is_probe(flat: Mapping[str, Any]) -> bool:
    """Whether a flat recipe probes a frozen network."""
    return architecture_of(flat).heads == "probe"


def labelled_sets(suite: Suite, cfg: CfgNode, request: Request) -> dict[str, OwnLabelled]:
    """The labelled sets that the suite's file defines, or those that --data synthetic will draw, by name."""
    names = dict.fromkeys([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST])
    if request.synthetic:
        by_name = is_probe(flatten(cfg)) and cfg.PROBE.NAME != DISCOVERY
        return {name: drawn(name, request.data_root) for name in names} if by_name else {}
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
    if name in SETS:
        return OwnLabelled(name, {"train": folder / "jpg", "test": folder.parent}, None, "", folder)
    return OwnLabelled(
        name, {part: folder / part for part in ("train", "test")}, None, metric_of(name, {}), folder
    )


def draw_labelled(own: Labelled) -> None:
    """Draws the stand-ins that are not there yet: six textures, which colour does not tell apart."""
    from transfer.datasets.synthetic.dial import draw_image_set
    from transfer.datasets.synthetic.revisited import write_revisited

    for one in own.values():
        folder = one.parts["train"].parent
        if (folder / "done").exists():
            continue
        if one.name in SETS:
            write_revisited(folder)
        else:
            draw_image_set(folder, clarity=0.8, classes=6, train=12, test=20, side=64)
        (folder / "done").touch()


def check_probe(suite: Suite, recipe: Resolved, own: Labelled, boxes: Boxes, request: Request) -> None:
    """Raises UsageError or DataError for a suite of frozen features that cannot run or be scored."""
    if request.tune:
        raise UsageError(f"{suite.where}: --tune scales learning rates, and a probe has none; leave it out")
    if len(recipe.cfg.DATASETS.TRAIN) != 1:
        raise UsageError(
            f"{suite.where}: DATASETS.TRAIN is {recipe.cfg.DATASETS.TRAIN}; a probe learns from one set"
        )
    train, test, probe = recipe.cfg.DATASETS.TRAIN, recipe.cfg.DATASETS.TEST, recipe.cfg.PROBE.NAME
    if probe in (DISCOVERY, REVISITED) and train != test:
        raise UsageError(
            f"{suite.where}: DATASETS.TRAIN is {train}; {probe} learns nothing, so name {test} there, too"
        )
    if probe == "ood" and train == test:
        raise UsageError(
            f"{suite.where}: DATASETS.TEST is {test}, the head is fitted to it, and ood tests another"
        )
    _check_metrics(suite, flatten(recipe.written), own, boxes, [suite.primary, *suite.metrics])
    _check_metrics(suite, flatten(recipe.cfg), own, boxes, [suite.primary])


def _check_metrics(
    suite: Suite, flat: Mapping[str, Any], own: Labelled, boxes: Boxes, wanted: Sequence[str]
) -> None:
    yielded = yielded_by(flat, own, boxes)
    for metric in dict.fromkeys(wanted):
        if metric not in yielded:
            field = "primary" if metric == suite.primary else "metrics"
            raise UsageError(
                f"{suite.where}: {field}: {metric} will not be measured; "
                f"PROBE.NAME {flat['PROBE.NAME']!r} on {', '.join(flat['DATASETS.TEST'])} "
                f"yields {', '.join(yielded) or 'nothing'}"
            )


def yielded_by(flat: Mapping[str, Any], own: Labelled, boxes: Boxes) -> list[str]:
    """The metrics that the recipe's probe yields on its test set. DataError for an unknown set."""
    name, probe = flat["DATASETS.TEST"][0], flat["PROBE.NAME"]
    if probe == DISCOVERY:
        _, tasks = evaluator_of(name, boxes)
        if "bbox" not in tasks:
            raise DataError(f"{name} has {', '.join(tasks)}; discovery is scored by boxes: change DATASETS")
        return metrics_of_probe(flat, "")
    if name in boxes:
        raise DataError(f"{boxes[name].where} has boxes, which PROBE.NAME {DISCOVERY} alone takes; choose it")
    if (name in SETS) != (probe == REVISITED):
        raise DataError(
            f"{name}: PROBE.NAME is {probe}; {REVISITED} is for {' and '.join(SETS)}, and for these alone"
        )
    metric_of(flat["DATASETS.TRAIN"][0], own)
    return metrics_of_probe(flat, metric_of(name, own))


def read_labelled(
    cfg: CfgNode, root: Path, own: Labelled, boxes: Boxes, limit: int = 0
) -> tuple[list[Dataset[Any]], Dataset[Any]]:
    """Reads, checks and hashes the sets of a suite; the records of labelled images stay with the cell.

    limit: of how many images the test may consist at most, 0 for all.
    """
    name = cfg.DATASETS.TEST[0]
    if cfg.PROBE.NAME == DISCOVERY:
        one = load_dataset(name, root, boxes)
        return [one], limited(one, limit) if limit else one
    if cfg.PROBE.NAME == REVISITED:
        queries = load_queries(name, root, own)
        return [_told_queries(queries)], _told_queries(queries.limited(limit))
    names = dict.fromkeys([cfg.DATASETS.TRAIN[0], name])
    tasks = [load_task(one, root, own) for one in names]
    train = _told(tasks[0])  # before its test is cut
    test = _told(limited_task(tasks[-1], limit, *_least(cfg) if limit else ()))
    if cfg.PROBE.NAME in LEARNS and "train" not in train.summary["parts"]:
        raise DataError(f"{train.name} is only tested on; name a set that is trained on in DATASETS.TRAIN")
    if cfg.PROBE.NAME == "ood":
        try:
            positions(test.metadata["image_classes"], train.metadata["image_classes"])
        except DataError as error:
            raise DataError(f"{train.name} and {test.name}: {error}") from None
    elif train.metadata["image_classes"] != test.metadata["image_classes"]:
        raise DataError(
            f"{train.name} and {test.name} have different classes, or another order of them; a probe of the "
            "first cannot be scored on the second"
        )
    return [train], test


def _least(cfg: CfgNode) -> tuple[int, int]:
    """How many test images the probe needs of each class, and in all."""
    if cfg.PROBE.NAME == "fewshot":
        return max(cfg.PROBE.SHOTS) + EPISODE_QUERIES, 0
    if cfg.PROBE.NAME == "retrieval":
        from transfer.probes.retrieval import CUTS  # and torch, which takes seconds to import

        return 2, max(CUTS) + 1
    return 0, 0


def _told(task: Task) -> Dataset[Any]:
    counts = task.summary["images"]
    # The metric decides what a probe chooses, and so does what is held out: another of them is another cell.
    told = [task.summary["sha256"], task.metric, task.summary["held_out"]]
    sha256 = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    summary = {**task.summary, "images": len(task.exam.images), "parts": counts, "sha256": sha256}
    return Dataset(task.name, [], {"evaluator": "class", "image_classes": list(task.classes)}, summary, None)


def _told_queries(queries: RetrievalSet) -> Dataset[Any]:
    summary = queries.summary
    # A query is what is resampled and counted; of the images that are searched the record says how many.
    told = {**summary, "images": summary["queries"], "searched": summary["images"]}
    return Dataset(queries.name, [], {"evaluator": "retrieval"}, told, None)


def told_amount(flat: Mapping[str, Any]) -> str:
    """A line of a dry run: what a cell does."""
    probe, side, linear = flat["PROBE.NAME"], flat["FEATURES.CROP"], flat["PROBE.LINEAR.EPOCHS"]
    if probe == DISCOVERY:
        return "one forward pass an image at its own size, of which a box is kept; then CorLoc"
    if probe == REVISITED:
        scales = len(flat["PROBE.SCALES"])
        return f"features of images and queries at {scales} scales of {flat['PROBE.SIDE']} pixels; then mAP"
    if probe == "linear" or (probe in ("ood", "corrupt") and flat["PROBE.HEAD"] == "linear"):
        learned = f"{linear} epochs of linear layers on crops of train, once a network; features of the "
    else:
        learned = f"features of the {'train and ' if probe in LEARNS else ''}"
    copies = f", and of {len(NAMES) * len(SEVERITIES)} corrupted copies" if probe == "corrupt" else ""
    return f"{learned}test images at {side} pixels{copies}, once a network; then {probe}"


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
