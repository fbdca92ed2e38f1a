"""Segmentors: the embedded engine against Detectron2, and the arithmetic of FCN-16s against oracles."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks.planning.suite import groups, load_suite
from tests.transfer.engines.golden import detection, semantic
from tests.transfer.engines.golden.values import probe, weights
from transfer.engines.choose import detectron2_found, load_engine
from transfer.engines.fcn16s import mean_cross_entropy, upsampled
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resolve import flatten, load_recipe

ENGINES = ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)]


@cache
def ours(segmentor: str) -> dict[str, Any]:
    return semantic.everything(load_engine("torchvision"), segmentor)


@pytest.fixture(params=semantic.SEGMENTORS)
def segmentor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def golden_scene(segmentor: str) -> str:
    return segmentor


def test_every_suite_of_class_maps_has_its_segmentor_here() -> None:
    names = [*groups()["paper"], *groups()["linear"], *groups()["upernet"]]
    flat = {suite.recipe: flatten(load_recipe(suite.recipe)) for suite in map(load_suite, names)}
    covered = [recipe for recipes in semantic.SEGMENTORS.values() for recipe in recipes]
    assert {name for name, keys in flat.items() if architecture_of(keys).semantic} == set(covered)
    for recipes in semantic.SEGMENTORS.values():
        models = [
            {
                key: value
                for key, value in flat[name].items()
                if key.startswith("MODEL.") and key != "MODEL.SEM_SEG_HEAD.NUM_CLASSES"
            }
            for name in recipes
        ]
        assert all(model == models[0] for model in models), recipes


def test_same_weights_give_the_same_losses(segmentor: str, theirs: dict[str, Any]) -> None:
    mine = ours(segmentor)["losses"]
    assert set(mine) == set(theirs["losses"]) >= {"loss_sem_seg"}
    for name, loss in mine.items():
        assert loss == pytest.approx(theirs["losses"][name], rel=1e-4), name


def test_ten_steps_lead_to_the_same_parameters(segmentor: str, theirs: dict[str, Any]) -> None:
    mine = ours(segmentor)["parameters"]
    assert set(mine) == set(theirs["parameters"])
    cfg, engine = semantic.config(segmentor), load_engine("torchvision")
    start = weights(engine.state(engine.build(cfg, torch.device("cpu"))))
    row, moved = architecture_of(flatten(cfg)), []
    for name, values in mine.items():
        wanted = np.array(theirs["parameters"][name])
        scale = np.linalg.norm(wanted)
        if row.part(name) != "backbone" or not cfg.MODEL.BACKBONE.FROZEN:
            moved.append(np.linalg.norm(wanted - np.array(probe(start[name]))) / scale)
        assert np.linalg.norm(np.array(values) - wanted) / scale <= 1e-6, name
    # else the comparison would hold for an engine that does not learn
    assert np.median(moved) > 2e-3
    assert np.quantile(moved, 0.9) > 1e-2


def test_the_same_class_maps_at_the_original_size(segmentor: str, theirs: dict[str, Any]) -> None:
    pairs = zip(ours(segmentor)["class_maps"], theirs["class_maps"], semantic.test(), strict=True)
    for mine, wanted, sample in pairs:
        a, b = (semantic.from_run_lengths(stored) for stored in (mine, wanted))
        assert a.shape == b.shape == (sample.height, sample.width)
        assert len(np.unique(b)) >= 3, "the scene must give the comparison something to compare"
        assert (a == b).mean() >= 0.999


def test_the_head_is_the_papers() -> None:
    """Two 3x3 convolutions of 256 channels with norms, and a classifier (appendix A.5)."""
    engine = load_engine("torchvision")
    state = engine.state(engine.build(load_recipe("cityscapes_semantic"), torch.device("cpu")))
    head = {name: tuple(t.shape) for name, t in state.items() if name.startswith("sem_seg_head.")}
    norms = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    wanted = {
        f"sem_seg_head.convs.{i}.norm.{norm}": () if norm == "num_batches_tracked" else (256,)
        for i in range(2)
        for norm in norms
    }
    assert head == wanted | {
        "sem_seg_head.convs.0.weight": (256, 2048, 3, 3),
        "sem_seg_head.convs.1.weight": (256, 256, 3, 3),
        "sem_seg_head.predictor.weight": (19, 256, 1, 1),
        "sem_seg_head.predictor.bias": (19,),
    }


@pytest.mark.parametrize("engine_name", ENGINES)
def test_padding_is_the_mean_colour_and_is_not_judged(engine_name: str) -> None:
    """A crop that ends early has the loss of a crop whose missing part was painted by hand in the mean."""
    if engine_name == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    engine = load_engine(engine_name)
    cfg = semantic.config()
    cfg.MODEL.PIXEL_MEAN = [120.0, 110.0, 100.0]  # so that uint8 can hold it
    short = next(s for s in semantic.training() if s.image_id == "low")
    painted = (
        torch.tensor(cfg.MODEL.PIXEL_MEAN).byte()[:, None, None].repeat(1, *semantic.CROPS["voc_semantic"])
    )
    painted[:, : short.image.shape[1]] = short.image
    model = detection.prepared(engine, cfg).train()
    with torch.no_grad():
        losses = [
            float(engine.losses(model, [s])["loss_sem_seg"]) for s in (short, replace(short, image=painted))
        ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize("size", [(33, 49), (32, 40), (17, 16), (50, 3)])
def test_upsampling_against_a_loop(size: tuple[int, int]) -> None:
    cells = [-(-side // 16) for side in size]
    logits = torch.randn(1, 1, *cells, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = upsampled(logits, 16, *size)[0, 0]
    assert found.shape == size

    def at(y: float, x: float) -> float:
        """Between four cells, the last of which goes on for ever."""
        rows = [min(int(y) + i, cells[0] - 1) for i in range(2)]
        columns = [min(int(x) + i, cells[1] - 1) for i in range(2)]
        v, u = y - int(y), x - int(x)
        grid = logits[0, 0]
        upper = (1 - u) * grid[rows[0], columns[0]] + u * grid[rows[0], columns[1]]
        lower = (1 - u) * grid[rows[1], columns[0]] + u * grid[rows[1], columns[1]]
        return float((1 - v) * upper + v * lower)

    wanted = [[at(y / 16, x / 16) for x in range(size[1])] for y in range(size[0])]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))
    more = torch.cat([logits, logits[..., -1:]], 3)  # as the last cell is repeated, one more changes nothing
    torch.testing.assert_close(upsampled(more, 16, *size)[0, 0], found)


def test_deeplabs_crops_are_interpolated_with_aligned_corners() -> None:
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    wanted = F.interpolate(logits, (49, 65), mode="bilinear", align_corners=True)
    torch.testing.assert_close(upsampled(logits, 16, 49, 65), wanted)
    assert upsampled(logits.bfloat16(), 16, 49, 65).dtype == torch.float32


def test_cross_entropy_against_a_loop_over_judged_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    classes = torch.randint(0, 5, (2, 3, 4), generator=generator).byte()
    classes[0, :, :2] = 255
    terms = []
    for n, y, x in np.ndindex(2, 3, 4):
        if classes[n, y, x] != 255:
            odds = logits[n, :, y, x].detach().exp()
            terms.append(-float(torch.log(odds[int(classes[n, y, x])] / odds.sum())))
    assert len(terms) == 18
    assert float(mean_cross_entropy(logits.detach(), classes, 255)) == pytest.approx(np.mean(terms))
    nothing = mean_cross_entropy(logits, torch.full_like(classes, 255), 255)
    nothing.backward()
    assert float(nothing.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()
