"""Runs one cell of a frozen network: features of what is learned from and of the test, a probe, its score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from yacs.config import CfgNode

from converters.backbone import Backbone
from transfer.datasets.image_list.content import digests
from transfer.datasets.image_list.images import Images
from transfer.datasets.image_list.parts import Task
from transfer.evaluation.per_image import FILE as PER_IMAGE
from transfer.evaluation.per_image import save_outcomes
from transfer.evaluation.scores import json_ready
from transfer.frozen import shifted
from transfer.frozen.cache import Entry
from transfer.frozen.device import fitted_on
from transfer.frozen.discover import Discoverer, discovery_step
from transfer.frozen.extract import How, features_of, list_sha256
from transfer.frozen.learned import learned, tensor, whole
from transfer.frozen.network import build
from transfer.frozen.probes import PROBES, Judge, Learned, Result
from transfer.frozen.queries import revisited_step
from transfer.frozen.sets import Sources, load_sets
from transfer.frozen.view import Seen, View
from transfer.frozen.work import Finish, Finished, Work, there
from transfer.probes.checks import ProbeError
from transfer.probes.spread import norms, rank_me
from transfer.process.disk import writing
from transfer.process.distributed import World, device_name
from transfer.process.gather import cpu_group, share
from transfer.recipes.architectures import architecture_of
from transfer.recipes.facts_of_weights import manifest_keys
from transfer.recipes.frozen import DISCOVERY, LEARNS, REVISITED
from transfer.recipes.own import OWN
from transfer.recipes.resolve import flatten
from transfer.run import Clock, RunRequest, peak_memory
from transfer.training.outcome import keep_metrics

BOX = 1  # raised when the same network would find other boxes
# Probes that need more than the features of what is learned from and of the test.
STEPS: dict[str, Callable[[Work, Any, Any], Finish]] = {
    "linear": shifted.linear_step,
    "ood": shifted.ood_step,
    "corrupt": shifted.corrupt_step,
    DISCOVERY: discovery_step,
    REVISITED: revisited_step,
}


def run(world: World, request: RunRequest, backbone: Backbone | None, sources: Sources) -> dict[str, Any]:
    """Runs the request in this process of `world`; every process returns a JSON-ready outcome.

    Its keys are those of `transfer.run.run`, and `probe`: what was chosen. In the request's directory it
    leaves per_image.npz. The labels of the test are read once, by the main process, behind every choice.
    """
    cfg, group = request.recipe, cpu_group(world)
    train, test = load_sets(cfg, sources)
    kind = Discoverer if cfg.PROBE.NAME == DISCOVERY else None
    net, account = build(cfg, backbone, request.seed, request.label, kind)
    net = net.to(world.device)
    durations: dict[str, float] = {}
    clock = Clock(durations)
    maker = _Maker(net, cfg, _weights(cfg, backbone, request.seed), sources.features, world, group)
    step = STEPS.get(cfg.PROBE.NAME, _from_features)
    finish = step(maker.work(request.seed, sources.heads), train, test)
    clock.lap("features")
    # The others keep no copy of what may be gigabytes.
    found = _kept(finish(), Path(request.directory), world.device) if world.main else None
    metrics, told = share(found, world, group)
    clock.lap("probe")
    return {
        "metrics": metrics,
        "probe": told,
        "account": asdict(account),
        "durations_s": durations,
        "images_per_s": maker.count / max(durations["features"], 1e-9),
        "peak_memory_bytes": peak_memory(world.device),
    }


def _weights(cfg: CfgNode, backbone: Backbone | None, seed: int) -> dict[str, Any]:
    """Tells what the features are of: the content of a file, or a random network's shape, pixels and seed.

    Code of a user's is known by the hashes among its facts, which are those of its files and weights.
    """
    flat = flatten(cfg)
    family = architecture_of(flat).family
    if backbone is not None and family is not OWN:
        return {"weights": backbone.content_sha256()}
    kind = "random" if backbone is None else "own"
    return {kind: {key: flat[key] for key in manifest_keys(family).values()}, "seed": seed}


class _Maker:
    """Gives the features of lists of images by one network."""

    def __init__(self, net: Any, cfg: CfgNode, weights: dict[str, Any], root: Path, world: World, group: Any):
        features = cfg.FEATURES
        self.net, self.root, self.world, self.group, self.count = net, root, world, group, 0
        self.view = View(features.RESIZE, features.CROP, features.INTERPOLATION)
        self.cfg = cfg
        self.how = How(features.BATCH_SIZE, max(cfg.DATALOADER.NUM_WORKERS, 1), features.PRECISION)
        self.facts = {
            **weights,
            "pool": features.POOL,
            "precision": features.PRECISION,
            # GPUs differ in their kernels, so features of one make are not resumed or scored as another's.
            "device": share(device_name(world.device), world, group),
        }

    def features(
        self, images: Images, view: Seen | None = None, one_by_one: bool = False
    ) -> np.ndarray | None:
        """(N, D) float32, from the cache where they are; see `Makes`."""
        view = view or self.view
        known = list_sha256(images, digests(images)) if self.world.main else None
        known = share(known, self.world, self.group)
        facts = {**self.facts, "view": view.facts(), "images": known}
        if self.cfg.PROBE.NAME == DISCOVERY:  # what is kept of an image is no feature of it
            facts["box"] = {"revision": BOX, "patches": self.cfg.PROBE.PATCHES}
        entry = Entry(self.root, facts, len(images))
        self.count += 0 if entry.there else len(images)
        how = replace(self.how, batch_size=1) if one_by_one else self.how
        return features_of(self.net, images, view, entry, self.world, self.group, how)

    def work(self, seed: int, heads: Path) -> Work:
        """Gives what a step works with."""
        return Work(
            *(self.cfg, self.net, self.features, self.view, self.how, self.facts, heads, seed),
            *(self.world, self.group),
        )


def _from_features(work: Work, train: Task, test: Task) -> Finish:
    """A probe of `PROBES`: it sees the features of what is learned from, if it learns, and of the test."""
    cfg = work.cfg
    fitted = work.features(whole(train)) if cfg.PROBE.NAME in LEARNS else None
    tested = work.features(test.exam.images)

    def finish() -> Finished:
        exam = there(tested)
        known = None if fitted is None else learned(train, fitted, test.metric)
        judge, device = judge_on(work.world.device, cfg, known, tensor(exam))
        result: Result = test.exam.mark(judge)
        told = {**result.told, "device": device_name(device)}
        return Finished(replace(result, told=told), exam, test.exam.images.ids)

    return finish


def judge_on(
    device: torch.device, cfg: CfgNode, learned: Learned | None, exam: torch.Tensor
) -> tuple[Judge, torch.device]:
    """The recipe's probe, fitted on the device if that can be; `learned` and `exam` are on the CPU."""

    def fit(there: torch.device) -> Judge:
        moved = None if learned is None else replace(learned, features=learned.features.to(there))
        return PROBES[cfg.PROBE.NAME](moved, exam.to(there), cfg)

    return fitted_on(device, cfg.PROBE.NAME, fit)


def _kept(done: Finished, directory: Path, device: torch.device) -> tuple[dict[str, Any], dict[str, Any]]:
    """(metrics, what was chosen and where); leaves metrics.json and per_image.npz."""
    ride_along = {} if done.features is None else {"features": _spread(tensor(done.features))}
    metrics = json_ready({**done.result.metrics, **ride_along})
    keep_metrics(directory, metrics)  # whatever fails from here on
    if done.result.outcomes is not None:
        with writing(directory):
            save_outcomes(done.result.outcomes(done.ids), directory / PER_IMAGE)
    return metrics, {"device": device_name(device), **done.result.told}


def _spread(features: torch.Tensor) -> dict[str, float | None]:
    """How long the features are, and how many directions they fill; shown, and nothing is ranked by it."""
    try:
        rank: float | None = rank_me(features)
    except ProbeError:  # fewer images than dimensions: its value would be of the number of images
        rank = None
    return {"norm": norms(features).mean, "RankMe": rank}
