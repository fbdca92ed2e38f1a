"""Two processes train as one does on the joined batch: the same ten losses, on both engines.

The two images have one size, the same objects and the same proposals (all of them sampled), so that every
loss that a process normalises by itself has the same divisor in both.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from yacs.config import CfgNode

from tests.transfer.engines.golden import detection
from transfer.engines.choose import detectron2_found, load_engine
from transfer.process.distributed import World, launch
from transfer.samples.sample import Sample
from transfer.training.learner import Learner
from transfer.training.loop import train
from transfer.training.precise_bn import measure_statistics
from transfer.training.saver import Saver
from transfer.training.watcher import Watcher

CPU = torch.device("cpu")
ITERATIONS = 10
DETECTORS = ("coco_c4", "coco_fpn", "coco_vitdet_b", "coco_vitfpn_b")
NARROW = {"width_per_group": 8, "stem_out_channels": 8, "res2_out_channels": 32}


def _samples(cfg: CfgNode) -> list[Sample]:
    first = detection.samples(cfg)[0]
    mirrored = first.image.flip(-1).contiguous()
    return [first, dataclasses.replace(first, image=mirrored, image_id="mirrored")]


def _proposals(cfg: CfgNode) -> Tensor:
    """24 boxes near the objects and anywhere."""
    rng = np.random.default_rng(1)
    near = _samples(cfg)[0].boxes.repeat(6, 1) + torch.from_numpy(rng.standard_normal((12, 4))).float() * 4
    corner = torch.from_numpy(rng.random((12, 2))).float() * 60
    return torch.cat([near.clamp(0, 120), torch.cat([corner, corner + 40], dim=1)])


def _fix_proposals(model: nn.Module, boxes: Tensor, name: str) -> None:
    """The same proposals for every image, whatever the network says."""
    if name == "torchvision":
        model.proposal_generator.predict_proposals = lambda _, logits, *__: [boxes] * _images(logits)
        return
    from detectron2.structures import Boxes, Instances

    def predict(anchors: Any, logits: Sequence[Tensor], deltas: Any, sizes: Sequence[Any]) -> list[Any]:
        made = []
        for size in sizes:
            instances = Instances(size)
            instances.proposal_boxes = Boxes(boxes)
            instances.objectness_logits = torch.zeros(len(boxes))
            made.append(instances)
        return made

    model.proposal_generator.predict_proposals = predict


def _images(logits: Any) -> int:
    return len(logits[0] if isinstance(logits, list | tuple) else logits)


def _train(world: World, name: str, detector: str, directory: Path) -> None:
    """Ten steps of the real loop in double precision; the log has every one."""
    cfg = detection.config(detector, **NARROW)
    cfg.SOLVER.MAX_ITER = ITERATIONS
    engine = load_engine(name)
    model = detection.prepared(engine, cfg).double()
    _fix_proposals(model, _proposals(cfg).double(), name)

    data = repeat(_samples(cfg)[world.rank :: world.size])
    learner = Learner(engine, model, cfg, 0, world)
    train(cfg, learner, lambda _: data, Saver(directory, learner, log_period=1), Watcher(learner))


def _losses(directory: Path) -> dict[str, list[float]]:
    entries = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    assert len(entries) == ITERATIONS
    names = [name for name in entries[0] if "loss" in name]
    return {name: [entry[name] for entry in entries] for name in names}


def _train_all(world: World, name: str, directory: Path) -> None:
    for detector in DETECTORS:
        _train(world, name, detector, directory / detector)


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)])
def test_two_processes_train_as_one(name: str, tmp_path: Path) -> None:
    if name == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    _train_all(World(0, 1, CPU), name, tmp_path / "one")
    launch(_train_all, 2, CPU, name, tmp_path / "two")
    for detector in DETECTORS:
        one, two = _losses(tmp_path / "one" / detector), _losses(tmp_path / "two" / detector)
        assert one.keys() == two.keys()
        assert one["total_loss"][-1] < 0.95 * one["total_loss"][0], "something must have been learned"
        for part in one:
            np.testing.assert_allclose(two[part], one[part], rtol=1e-3, atol=1e-6, err_msg=part)


def _statistics(world: World) -> list[list[float]]:
    """Per process: three running statistics after precise BN on data of which each has its own."""
    cfg = detection.config("voc_c4", **NARROW)
    cfg.MODEL.RESNETS.NORM = "BN"
    engine = load_engine("torchvision")
    model = detection.prepared(engine, cfg)
    data = repeat(detection.samples(cfg)[world.rank : world.rank + 1])  # unlike sizes, unlike contents
    measure_statistics(engine, model, data, 2, 0, world)
    state = engine.state(model)
    found = [
        float(state[name].double().sum())
        for name in ("backbone.stem.conv1.norm.running_mean", "roi_heads.res5.norm.running_var")
    ]
    everyone: list[Any] = [None] * world.size
    dist.all_gather_object(everyone, found)
    return everyone


@pytest.mark.usefixtures("forked_processes")
def test_precise_statistics_are_equal_on_all_processes() -> None:
    """Detectron2 leaves them different (its issue 5398), and then every process predicts by its own."""
    first, second = launch(_statistics, 2, CPU)
    assert first == second


@pytest.mark.detectron2
def test_detectron2s_sync_bn_is_replaced_only_where_it_cannot_run(caplog: pytest.LogCaptureFixture) -> None:
    if not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    model = load_engine("detectron2").build(detection.config("coco_fpn", **NARROW), CPU)
    kinds = {type(m) for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
    assert kinds == {nn.SyncBatchNorm}, "one process runs Detectron2's own"
    assert caplog.text == ""
