"""Finds how long cells take: by finished records of alike cells, or by a few steps that are measured now.

Cells are alike that have the same network, image sizes, precision, engine and processes. The learning rate,
the schedule and the data set may differ: seconds are counted for an image.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from benchmarks.planning.cells import Cell
from benchmarks.planning.labelled import is_probe
from results.record import Record

if TYPE_CHECKING:
    import torch
    from yacs.config import CfgNode

# Keys that move no image's cost: how many images, at what rate, from where, in which colours.
FREE = ("SOLVER.", "DATASETS.", "DATALOADER.", "TEST.PRECISE_BN.", "MODEL.PIXEL_", "INPUT.FORMAT")
AS_A_STEP = 1 / 3  # cost of an image of precise BN, which has no backward pass
LOOKED_AT = 200  # records among which a measurement finds images with objects
MEASURED = 3  # steps, the first of which only warms up
LONG_S = 10.0  # a step that takes longer is measured once
SIDE = 224  # pixels of the shorter side, above which a CPU measures smaller images and counts them up
Kind = str


@dataclass(frozen=True)
class Speed:
    """Seconds of a cell's parts, for one image."""

    train: float
    test: float

    def seconds(self, cell: Cell) -> float:
        """How long the cell takes."""
        trained = 0.0 if cell.evaluated else self.train * _trained(cell.recipe)
        return trained + self.test * int(cell.test.summary["images"])


def kind_of(recipe: Mapping[str, Any], identity: Mapping[str, Any]) -> Kind:
    """All that alike cells have in common, as text."""
    cost = {key: value for key, value in recipe.items() if not key.startswith(FREE)}
    cost["amp"] = [recipe.get("SOLVER.AMP.ENABLED"), recipe.get("SOLVER.AMP.DTYPE")]
    where = [identity.get(name) for name in ("engine", "processes", "micro_steps", "deterministic")]
    return json.dumps([cost, where], sort_keys=True)


def speed_of(record: Record) -> Speed | None:
    """The speed at which a finished record's cell ran; None for one without its schedule or its counts."""
    spent = record["durations_s"]
    training = spent.get("train", 0.0) + spent.get("precise_bn", 0.0)
    tested = (record["data"].get("test") or {}).get("images")
    if not tested or "SOLVER.MAX_ITER" not in record["recipe"] or record.get("evaluated"):
        return None
    return Speed(training / _trained(record["recipe"]), (sum(spent.values()) - training) / tested)


def _trained(flat: Mapping[str, Any]) -> float:
    """The images of training and, by their cost, of precise BN."""
    steps = flat["SOLVER.MAX_ITER"]
    if flat.get("TEST.PRECISE_BN.ENABLED"):
        steps += flat["TEST.PRECISE_BN.NUM_ITER"] * AS_A_STEP
    return float(steps * flat.get("SOLVER.IMS_PER_BATCH", 1))


def measure(cell: Cell, device: str | None) -> Speed | None:
    """Trains and predicts with the cell's network on a few of its images, in a process of its own.

    None where that fails, for whatever reason: the cell will tell it. Reading the images is not measured, nor
    what several processes cost each other; GPUs are taken to share the work.
    """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from transfer.datasets.waiting import waiting

    if cell.evaluated:
        return None
    if is_probe(cell.recipe):  # most of it is the features of images that another cell may have made
        return None
    with (
        waiting(f"measuring a step of {cell.suite.name}, {cell.init.label}"),
        ProcessPoolExecutor(1, get_context("spawn")) as pool,
    ):
        try:
            seen = list(islice(cell.training[0].records, LOOKED_AT))
            tested = list(islice(cell.test.records, 2))
            of_cell = (cell.recipe, cell.identity, cell.training[0].metadata)
            code = cell.init.code.place["file"] if cell.init.code else ""
            return pool.submit(_measured, of_cell, seen, tested, device, code).result()
        except Exception:  # whatever it was: the run goes on, and its cell meets and tells it
            return None


def _measured(
    of_cell: tuple[dict[str, Any], dict[str, Any], dict[str, Any]],
    training: list[dict[str, Any]],
    tested: list[dict[str, Any]],
    device: str | None,
    code: str = "",
) -> Speed:
    """The measurement; `of_cell` is recipe, identity and the metadata of the training set.

    `code` is the place of the user's own module, where the recipe stands on one.
    """
    from transfer.engines.choose import load_engine
    from transfer.process.distributed import World, pick_device
    from transfer.recipes.own import with_code
    from transfer.recipes.patches import in_pixels
    from transfer.recipes.resolve import unflatten
    from transfer.samples.loader import evaluation_batches, training_batches, training_records
    from transfer.training.learner import Learner

    flat, identity, metadata = of_cell
    resolved = with_code(unflatten(flat), code) if code else unflatten(flat)
    cfg, engine, place = in_pixels(resolved), load_engine(identity["engine"]), pick_device(device, 1)
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.SOLVER.IMS_PER_BATCH = 1 if place.type == "cpu" else min(8, cfg.SOLVER.IMS_PER_BATCH)
    trained, tested_at = _smaller(cfg) if place.type == "cpu" else (1.0, 1.0)
    learner = Learner(engine, engine.build(cfg, place), cfg, 0, World(0, 1, place))
    steps: list[float] = []
    for batch in islice(training_batches(training_records(training, cfg), cfg, metadata, 0), MEASURED):
        if steps and steps[0] > LONG_S:
            break
        start = time.monotonic()
        learner.gradients(0, [batch])
        learner.update()
        steps.append(_since(start, place))
    learner.model.eval()
    tests = []
    for batch in evaluation_batches(tested, cfg):
        start = time.monotonic()
        engine.predict(learner.model, batch)
        tests.append(_since(start, place))
        if sum(steps) > LONG_S:
            break
    at_once = identity["processes"] if place.type == "cuda" else 1
    per_image = min(steps) / cfg.SOLVER.IMS_PER_BATCH
    return Speed(per_image * trained / at_once, min(tests) * tested_at / at_once)


def _smaller(cfg: CfgNode) -> tuple[float, float]:
    """Shrinks images and numbers of regions alike; returns how many times the work is larger.

    The first is of training, the second of test. A core takes half a minute for a large image.
    """
    sizes = sum(cfg.INPUT.MIN_SIZE_TRAIN) / len(cfg.INPUT.MIN_SIZE_TRAIN)
    trained, tested = (max(1.0, (size / SIDE) ** 2) for size in (sizes, cfg.INPUT.MIN_SIZE_TEST))
    crop = cfg.INPUT.CROP
    if crop.ENABLED and crop.TYPE == "absolute":  # crops have one size, whatever the image's
        trained = 1.0
    if cfg.MODEL.SIMPLE_PYRAMID.SQUARE_PAD or cfg.MODEL.TAP_PYRAMID.SQUARE_PAD:
        tested = 1.0
    cfg.INPUT.MIN_SIZE_TRAIN = [round(sizes / trained**0.5)]
    cfg.INPUT.MIN_SIZE_TEST = round(cfg.INPUT.MIN_SIZE_TEST / tested**0.5)
    rpn, heads = cfg.MODEL.RPN, cfg.MODEL.ROI_HEADS
    heads.BATCH_SIZE_PER_IMAGE = max(1, round(heads.BATCH_SIZE_PER_IMAGE / trained))
    rpn.POST_NMS_TOPK_TRAIN = max(1, round(rpn.POST_NMS_TOPK_TRAIN / trained))
    rpn.POST_NMS_TOPK_TEST = max(1, round(rpn.POST_NMS_TOPK_TEST / tested))
    return trained, tested


def _since(start: float, place: torch.device) -> float:
    import torch

    if place.type == "cuda":
        torch.cuda.synchronize(place)
    return time.monotonic() - start


def mean_speed(speeds: Sequence[Speed]) -> Speed:
    """The mean of each part."""
    count = len(speeds)
    return Speed(sum(one.train for one in speeds) / count, sum(one.test for one in speeds) / count)
