"""Segmentors on maps train alike in one process and in two, and go on as if they had not been stopped."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from yacs.config import CfgNode

from tests.transfer.engines.test_linear_head import SMALL
from transfer.engines.choose import detectron2_found, load_engine
from transfer.process.distributed import World, launch
from transfer.process.draws import INIT, seed_torch
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.resolve import apply_manifest, load_recipe
from transfer.recipes.vit import VIT
from transfer.samples.sample import Sample
from transfer.training.learner import Learner

ALONE = World(0, 1, torch.device("cpu"))


LINEAR, UPERNET = "ade20k_linear", "ade20k_upernet_b"


def _cfg(recipe: str, dropout: float, iterations: int = 6) -> CfgNode:
    keys: dict[str, Any] = {
        "INPUT.CROP.SIZE": [32, 32],
        "MODEL.SEM_SEG_HEAD.NUM_CLASSES": 4,
        "MODEL.SEM_SEG_HEAD.DROPOUT": dropout,
        "SOLVER.MAX_ITER": iterations,
        "SOLVER.WARMUP_ITERS": 2,
        "SOLVER.BASE_LR": 0.01,
    }
    if recipe == UPERNET:
        keys |= {
            "MODEL.SEM_SEG_HEAD.CONVS_DIM": 8,
            "MODEL.UPERNET.AUX_CONVS_DIM": 4,
            "MODEL.VIT.TAPS": [-4, -3, -2, -1],
            "MODEL.VIT.REL_BIAS_TOKENS": 4,
            "MODEL.VIT.DROP_PATH": dropout,
            "SOLVER.AMP.ENABLED": False,
        }
    cfg = load_recipe(recipe, list(keys.items()))
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


def _learner(world: World, dropout: float, recipe: str = LINEAR, name: str = "torchvision") -> Learner:
    cfg, engine = _cfg(recipe, dropout), load_engine(name)
    seed_torch(0, INIT)
    return Learner(engine, engine.build(cfg, world.device).double(), cfg, 0, world)


def _go_on(learner: Learner, start: int, end: int) -> list[float]:
    losses = []
    for iteration in range(start, end):
        share = _batch(iteration)[learner.world.rank :: learner.world.size]
        losses += [float(loss) for loss in learner.gradients(iteration, [share]).values()]
        learner.update()
    return losses


def _tensors(learner: Learner) -> dict[str, Tensor]:
    return {name: t.detach().clone() for name, t in learner.engine.state(learner.model).items()}


def _trained_part(learner: Learner) -> dict[str, Tensor]:
    """Without the counters of its norms, which ours keeps in one process only and nothing reads."""
    frozen = {n for n, p in learner.model.named_parameters() if not p.requires_grad}
    found = {name: t for name, t in _tensors(learner).items() if name not in frozen}
    return {name: t for name, t in found.items() if not name.endswith("num_batches_tracked")}


def _trained(world: World, recipe: str, name: str) -> dict[str, Any]:
    learner = _learner(world, 0.0, recipe, name)
    _go_on(learner, 0, 6)
    return {name: tensor.tolist() for name, tensor in _trained_part(learner).items()}


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize("recipe", [LINEAR, UPERNET])
@pytest.mark.parametrize("name", ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)])
def test_two_processes_equal_one(name: str, recipe: str) -> None:
    if name == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    alone, together = _trained(ALONE, recipe, name), launch(_trained, 2, torch.device("cpu"), recipe, name)
    assert alone.keys() == together.keys()
    start = _trained_part(_learner(ALONE, 0.0, recipe, name))
    for key, values in alone.items():
        one, two = (torch.tensor(each, dtype=torch.float64) for each in (values, together[key]))
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-8, msg=key)
        assert not torch.equal(one, start[key]), f"{key} does not train"


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


@pytest.mark.parametrize("recipe", [LINEAR, UPERNET])
@pytest.mark.parametrize("name", ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)])
def test_it_learns_what_brightness_tells(name: str, recipe: str) -> None:
    """Of images that it has not seen, tested in windows; a quarter of the pixels would be right by chance."""
    if name == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    cfg, engine = _cfg(recipe, 0.0, 60), load_engine(name)
    cfg.TEST.SLIDING_WINDOW.SIZE, cfg.TEST.SLIDING_WINDOW.STRIDE = [24, 24], [16, 16]
    cfg.SOLVER.LAYER_DECAY = 1.0
    seed_torch(0, INIT)
    learner = Learner(engine, engine.build(cfg, ALONE.device), cfg, 0, ALONE)
    _go_on(learner, 0, 60)
    unseen = [sample for number in range(1000, 1004) for sample in _batch(number)]
    found = engine.predict(learner.model.eval(), unseen)
    right = [torch.from_numpy(f.sem_seg) == s.class_map for f, s in zip(found, unseen, strict=True)]
    assert torch.stack(right).float().mean() > 0.6
