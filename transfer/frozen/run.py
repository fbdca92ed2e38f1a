"""Runs one cell of a frozen network: features of what is learned from and of the test, a probe, its score."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from yacs.config import CfgNode

from converters.backbone import Backbone
from transfer.datasets.image_list.content import digests
from transfer.datasets.image_list.images import Images
from transfer.datasets.image_list.own import OwnLabelled
from transfer.datasets.image_list.parts import Learnable, Task
from transfer.errors import TransferError
from transfer.evaluation.per_image import FILE as PER_IMAGE
from transfer.evaluation.per_image import save_outcomes
from transfer.evaluation.scores import json_ready
from transfer.frozen.cache import Entry
from transfer.frozen.extract import How, features_of, list_sha256
from transfer.frozen.network import build
from transfer.frozen.probes import PROBES, Judge, Learned, Result
from transfer.frozen.sets import load_task
from transfer.frozen.view import View
from transfer.probes.checks import ProbeError
from transfer.probes.spread import norms, rank_me
from transfer.process.disk import writing
from transfer.process.distributed import World, device_name
from transfer.process.gather import cpu_group, share
from transfer.recipes.architectures import architecture_of
from transfer.recipes.facts_of_weights import manifest_keys
from transfer.recipes.frozen import LEARNS
from transfer.recipes.own import OWN
from transfer.recipes.resolve import flatten
from transfer.run import Clock, RunRequest, peak_memory
from transfer.training.outcome import keep_metrics


@dataclass(frozen=True)
class Sources:
    """Where a cell's images are, for each of its processes to read; and where features are kept."""

    data_root: Path
    own: Mapping[str, OwnLabelled]
    features: Path


def run(world: World, request: RunRequest, backbone: Backbone | None, sources: Sources) -> dict[str, Any]:
    """Runs the request in this process of `world`; every process returns a JSON-ready outcome.

    Its keys are those of `transfer.run.run`, and `probe`: what was chosen. In the request's directory it
    leaves per_image.npz. The labels of the test are read once, by the main process, behind every choice.
    """
    cfg, group = request.recipe, cpu_group(world)
    names = dict.fromkeys([cfg.DATASETS.TRAIN[0], cfg.DATASETS.TEST[0]])  # mostly one, which is read once
    train, *other = (load_task(name, sources.data_root, sources.own) for name in names)
    test = other[0] if other else train
    net, account = build(cfg, backbone, request.seed, request.label)
    net = net.to(world.device)
    durations: dict[str, float] = {}
    clock = Clock(durations)
    maker = _Maker(net, cfg, _weights(cfg, backbone, request.seed), sources.features, world, group)
    fitted = maker.features(_whole(train)) if cfg.PROBE.NAME in LEARNS else None
    tested = maker.features(test.exam.images)
    clock.lap("features")
    found = None
    if tested is not None:  # in the main process; the others keep no copy of what may be gigabytes
        learned = None if fitted is None else _learned(train, fitted, test.metric)
        found = _probed(cfg, learned, _tensor(tested), test, Path(request.directory), world.device)
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
        self.how = How(features.BATCH_SIZE, max(cfg.DATALOADER.NUM_WORKERS, 1), features.PRECISION)
        self.facts = {
            **weights,
            "pool": features.POOL,
            "view": self.view.facts(),
            "precision": features.PRECISION,
            # GPUs differ in their kernels, so features of one make are not resumed or scored as another's.
            "device": share(device_name(world.device), world, group),
        }

    def features(self, images: Images) -> np.ndarray | None:
        """(N, D) float32, from the cache where they are; None in all processes but the main one."""
        known = list_sha256(images, digests(images)) if self.world.main else None
        facts = {**self.facts, "images": share(known, self.world, self.group)}
        entry = Entry(self.root, facts, len(images))
        self.count += 0 if entry.there else len(images)
        return features_of(self.net, images, self.view, entry, self.world, self.group, self.how)


def _whole(task: Task) -> Images:
    """The images that may be learned from."""
    if task.learn is None:
        raise TransferError(f"{task.name} is only tested on; name a set that is trained on, too")
    return task.learn.whole().without_labels()


def _tensor(features: np.ndarray) -> torch.Tensor:
    """The features, still mapped from their file: of ImageNet they are 10.5 GB."""
    return torch.from_numpy(features)


def _learned(task: Task, features: np.ndarray, metric: str) -> Learned:
    """The features of what may be learned from, with its labels and what is held out."""
    learn: Learnable | None = task.learn
    assert learn is not None
    whole, held = learn.whole(), set(learn.held_out.ids)
    return Learned(
        features=_tensor(features),
        labels=whole.labels,
        held_out=np.array([one in held for one in whole.ids]),
        classes=len(task.classes),
        metric=metric,
    )


def _probed(
    cfg: CfgNode,
    learned: Learned | None,
    exam: torch.Tensor,
    test: Task,
    directory: Path,
    device: torch.device,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(metrics, what was chosen and where); leaves metrics.json and per_image.npz."""
    judge, device = fitted_on(device, cfg, learned, exam)
    result: Result = test.exam.mark(judge)
    metrics = json_ready({**result.metrics, "features": _spread(exam)})
    keep_metrics(directory, metrics)  # whatever fails from here on
    if result.outcomes is not None:
        with writing(directory):
            save_outcomes(result.outcomes(test.exam.images.ids), directory / PER_IMAGE)
    return metrics, {**result.told, "device": device_name(device)}


def fitted_on(
    device: torch.device, cfg: CfgNode, learned: Learned | None, exam: torch.Tensor
) -> tuple[Judge, torch.device]:
    """Fits the recipe's probe on the device, or on the CPU where the GPU's memory does not suffice.

    learned and exam are on the CPU. The optimum is the same within the solver's tolerance.
    """
    probe = PROBES[cfg.PROBE.NAME]
    try:
        there = None if learned is None else replace(learned, features=learned.features.to(device))
        return probe(there, exam.to(device), cfg), device
    except torch.OutOfMemoryError:
        print(f"{cfg.PROBE.NAME}: the GPU's memory does not suffice; going on, on the CPU", file=sys.stderr)
    return probe(learned, exam, cfg), torch.device("cpu")


def _spread(features: torch.Tensor) -> dict[str, float | None]:
    """How long the features are, and how many directions they fill; shown, and nothing is ranked by it."""
    try:
        rank: float | None = rank_me(features)
    except ProbeError:  # fewer images than dimensions: its value would be of the number of images
        rank = None
    return {"norm": norms(features).mean, "RankMe": rank}
