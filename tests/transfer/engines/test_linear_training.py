"""A linear head trains alike in one process and in two, and goes on as if it had not been stopped."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from yacs.config import CfgNode

from tests.transfer.engines.test_linear_head import SMALL
from transfer.engines.choose import load_engine
from transfer.process.distributed import World, launch
from transfer.process.draws import INIT, seed_torch
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.resolve import apply_manifest, load_recipe
from transfer.recipes.vit import VIT
from transfer.samples.sample import Sample
from transfer.training.learner import Learner

ALONE = World(0, 1, torch.device("cpu"))


def _cfg(dropout: float) -> CfgNode:
    keys = {
        "INPUT.CROP.SIZE": [32, 32],
        "MODEL.SEM_SEG_HEAD.NUM_CLASSES": 4,
        "MODEL.SEM_SEG_HEAD.DROPOUT": dropout,
        "SOLVER.MAX_ITER": 6,
        "SOLVER.WARMUP_ITERS": 2,
        "SOLVER.BASE_LR": 0.01,
    }
    cfg = load_recipe("ade20k_linear", list(keys.items()))
    return apply_manifest(cfg, random_manifest(VIT) | SMALL["ViT"])


def _batch(iteration: int) -> list[Sample]:
    """Four images whose brightness tells the class of their halves."""
    rng = torch.Generator().manual_seed(iteration)
    samples = []
    for number in range(4):
        classes = torch.randint(0, 4, (2,), generator=rng)
        halves = classes.repeat_interleave(16)[None].expand(32, 32).clone()
        image = (halves * 60 + torch.randint(0, 30, (3, 32, 32), generator=rng)).byte()
        samples.append(
            Sample(image, torch.zeros(0, 4), torch.zeros(0).long(), number, 32, 32, class_map=halves.byte())
        )
    return samples


def _learner(world: World, dropout: float) -> Learner:
    cfg, engine = _cfg(dropout), load_engine("torchvision")
    seed_torch(0, INIT)
    return Learner(engine, engine.build(cfg, world.device), cfg, 0, world)


def _go_on(learner: Learner, start: int, end: int) -> list[float]:
    losses = []
    for iteration in range(start, end):
        share = _batch(iteration)[learner.world.rank :: learner.world.size]
        losses += [float(loss) for loss in learner.gradients(iteration, [share]).values()]
        learner.update()
    return losses


def _tensors(learner: Learner) -> dict[str, Tensor]:
    return {name: t.detach().clone() for name, t in learner.engine.state(learner.model).items()}


def _head(learner: Learner) -> dict[str, Tensor]:
    """Without the counter of its norm, which ours keeps in one process only and nothing reads."""
    found = {name: t for name, t in _tensors(learner).items() if name.startswith("sem_seg_head.")}
    return {name: t for name, t in found.items() if not name.endswith("num_batches_tracked")}


def _trained(world: World) -> dict[str, Any]:
    learner = _learner(world, 0.0)
    _go_on(learner, 0, 6)
    return {name: tensor.tolist() for name, tensor in _head(learner).items()}


@pytest.mark.usefixtures("forked_processes")
def test_two_processes_equal_one() -> None:
    alone, together = _trained(ALONE), launch(_trained, 2, torch.device("cpu"))
    assert alone.keys() == together.keys()
    start = _head(_learner(ALONE, 0.0))
    for name, values in alone.items():
        torch.testing.assert_close(torch.tensor(values), torch.tensor(together[name]), rtol=1e-4, atol=1e-5)
        assert not torch.equal(torch.tensor(values), start[name]), f"{name} does not train"


@pytest.mark.parametrize("stop", [1, 4])
def test_it_goes_on_to_the_bit(stop: int) -> None:
    whole = _learner(ALONE, 0.1)
    losses = _go_on(whole, 0, 6)
    assert losses[-1] < losses[0]
    first = _learner(ALONE, 0.1)
    before = _go_on(first, 0, stop)
    saved = copy.deepcopy(first.state())
    second = _learner(ALONE, 0.1)
    second.load(saved)
    assert before + _go_on(second, stop, 6) == losses
    one, other = _tensors(whole), _tensors(second)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
