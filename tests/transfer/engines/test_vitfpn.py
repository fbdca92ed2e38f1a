"""A FPN on four taps of a ViT: its parts by slow formulas, equal on both engines, and what it refuses."""

from __future__ import annotations

import importlib.util
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.transfer.engines.both_engines import compare_pyramids
from tests.transfer.engines.golden import detection
from tests.transfer.engines.golden.values import weights
from transfer.engines.choose import load_engine
from transfer.engines.taps import Taps
from transfer.errors import TransferError
from transfer.recipes.architectures import architecture_of
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.resolve import apply_manifest, flatten, load_recipe
from transfer.recipes.scaling import plan_scaling
from transfer.recipes.vit import VIT

SCENE = "coco_vitfpn_b"
CPU = torch.device("cpu")
EPOCH = 118_000 / 64  # iterations, by ViTDet's count, whose 100 epochs are 184,375


def config(*keys: tuple[str, Any], **facts: Any) -> Any:
    manifest = random_manifest(VIT) | detection.NARROW_VIT | facts
    overrides = [*detection.OVERRIDES, *detection.OF_VIT, *detection.OF_TAPS, *keys]
    return apply_manifest(load_recipe(SCENE, overrides), manifest)


class FourMaps(nn.Module):
    """Gives four maps as a ViT does."""

    def __init__(self) -> None:
        super().__init__()
        self.strides = {f"tap{n}": 16 for n in range(1, 5)}
        self.channels = {f"tap{n}": 32 for n in range(1, 5)}

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {f"tap{n}": x + n for n in range(1, 5)}


def test_taps_come_to_the_strides_of_a_pyramid() -> None:
    torch.manual_seed(0)
    made = Taps(FourMaps(), "GN")
    assert made.strides == {"tap1": 4, "tap2": 8, "tap3": 16, "tap4": 32}
    assert (made.size_divisibility, set(made.channels.values())) == (32, {32})
    x = torch.randn(1, 32, 4, 6)
    with torch.no_grad():
        found = {name: y[0].double().numpy() for name, y in made(x).items()}
    maps = {n: (x + n)[0].double().numpy() for n in range(1, 5)}
    first, norm, _, second = made.scales[0]
    y = _twice(first, maps[1])
    y = (y - y.mean((1, 2), keepdims=True)) / np.sqrt(
        y.var((1, 2), keepdims=True) + norm.eps
    )  # a channel a group
    erf = np.vectorize(lambda value: torch.erf(torch.tensor(value)).item())
    y = y * 0.5 * (1 + erf(y / 2**0.5))
    np.testing.assert_allclose(found["tap1"], _twice(second, y), atol=1e-5)
    np.testing.assert_allclose(found["tap2"], _twice(made.scales[1], maps[2]), atol=1e-5)
    np.testing.assert_allclose(found["tap3"], maps[3], atol=1e-6)
    np.testing.assert_allclose(found["tap4"], maps[4].reshape(32, 2, 2, 3, 2).max((2, 4)), atol=1e-6)


def _twice(layer: Any, x: np.ndarray) -> np.ndarray:
    """A 2x2 deconvolution of stride 2: each pixel becomes four, none overlaps another."""
    kernel, bias = (t.detach().double().numpy() for t in (layer.weight, layer.bias))
    out = np.zeros((kernel.shape[1], 2 * x.shape[1], 2 * x.shape[2]))
    for row in range(2):
        for column in range(2):
            part = np.einsum("chw,cd->dhw", x, kernel[:, :, row, column])
            out[:, row::2, column::2] = part + bias[:, None, None]
    return out


def test_every_parameter_is_trained_at_one_rate() -> None:
    cfg = config()
    engine, row = load_engine("torchvision"), architecture_of(flatten(cfg))
    model = engine.build(cfg, CPU).train()
    assert {row.part(name) for name in engine.state(model)} == {"backbone", *row.fresh}
    sum(engine.losses(model, detection.samples(cfg)).values()).backward()
    idle = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle, "a reducer of gradients would wait for them"
    names = {id(p): name for name, p in model.named_parameters()}
    spared = set()
    for group in engine.solver(cfg, model)[0].param_groups:
        assert group.get("initial_lr", group["lr"]) == cfg.SOLVER.BASE_LR
        spared |= {names[id(p)] for p in group["params"] if not group["weight_decay"]}
    positions = {name for name in spared if "norm" not in name and ".scales.0.1." not in name}
    assert positions == {f"backbone.bottom_up.net.{n}" for n in ("pos_embed", "window_bias", "global_bias")}


def test_an_image_without_an_object_trains_the_norms_of_the_mask_head() -> None:
    """Crops leave such images, and a process has one image: there is no region of foreground."""
    cfg, engine = config(), load_engine("torchvision")
    model = engine.build(cfg, CPU).train()
    one = detection.samples(cfg)[0]
    fields = {"boxes": one.boxes[:0], "classes": one.classes[:0], "polygons": []}
    losses = engine.losses(model, [type(one)(one.image, image_id="none", height=128, width=160, **fields)])
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    state = engine.state(model)
    assert all(torch.isfinite(tensor.float()).all() for tensor in state.values())
    norms = [
        name for name in state if name.startswith("roi_heads.mask_head") and name.endswith("running_var")
    ]
    assert len(norms) == 4


@pytest.mark.detectron2
@pytest.mark.parametrize(
    "facts", [{}, {"layer_scale": True}, {"rel_pos": "shared", "rel_pos_grid": 14}], ids=str
)
def test_maps_and_rates_are_equal_on_both_engines(facts: dict[str, Any]) -> None:
    _needs_detectron2()
    compare_pyramids(config(**facts))


@pytest.mark.detectron2
def test_each_tap_is_the_map_of_detectron2s_vit_of_so_many_blocks() -> None:
    """Without tables, which its ViT does not have."""
    _needs_detectron2()
    from detectron2.modeling.backbone.vit import ViT

    cfg = config(("MODEL.VIT.REL_BIAS_TOKENS", 0), ("MODEL.VIT.TAPS", [0, 1, 2, 3]))
    engine = load_engine("torchvision")
    model: Any = engine.build(cfg, CPU).eval()
    engine.load_state(model, weights(engine.state(model)))
    net, vit = model.backbone.bottom_up.net, cfg.MODEL.VIT
    x = torch.randn(2, 3, 160, 128, generator=torch.manual_seed(0))
    for depth in range(1, 5):
        theirs = ViT(
            patch_size=16,
            embed_dim=vit.EMBED_DIM,
            depth=depth,
            num_heads=vit.NUM_HEADS,
            norm_layer=partial(nn.LayerNorm, eps=vit.NORM_EPS),
            window_size=vit.WINDOW,
            window_block_indexes=[n for n in range(depth) if n not in vit.GLOBAL_BLOCKS],
            out_feature="last",
        ).eval()
        left = theirs.load_state_dict(net.state_dict(), strict=False)
        assert not left.missing_keys
        with torch.no_grad():
            torch.testing.assert_close(net(x)[f"tap{depth}"], theirs(x)["last"], atol=1e-5, rtol=1e-5)


def _needs_detectron2() -> None:
    if importlib.util.find_spec("detectron2") is None:
        pytest.skip("Detectron2 is not importable; test_parity compared the stored numbers")


def test_the_rows_have_the_papers_schedules() -> None:
    """Reference facts: 25, 50, 100 epochs, or 100, 200, 400 from nothing; warm-up of a quarter of one."""
    found = {}
    for row in ("", "_supervised", "_moco_v3", "_random"):
        cfg = load_recipe(f"{SCENE}{row}")
        solver = cfg.SOLVER
        found[row] = (round(solver.MAX_ITER / EPOCH), solver.BASE_LR, solver.WEIGHT_DECAY)
        assert pytest.approx(0.25, abs=1e-3) == solver.WARMUP_ITERS / EPOCH
        assert (solver.LR_SCHEDULER_NAME, solver.LAYER_DECAY, cfg.MODEL.VIT.DROP_PATH) == (
            "WarmupCosineLR",
            1.0,
            0.1,
        )
        assert plan_scaling(flatten(cfg), 8, accumulate=True).micro_steps == 8
    assert found == {
        "": (100, 8e-5, 0.1),
        "_supervised": (50, 8e-5, 0.1),
        "_moco_v3": (100, 1.6e-4, 0.1),
        "_random": (400, 1.6e-4, 0.2),
    }


@pytest.mark.parametrize(
    ("keys", "facts", "message"),
    [
        ([], {"patch_size": 14}, "MODEL.VIT.PATCH_SIZE is 14; the engines honour 16 in a FPNViT recipe"),
        ([], {"depth": 8}, r"TAPS is \[0, 1, 2, 3\], .* 8 blocks: .* as MODEL.VIT.TAPS '\[1, 3, 5, 7\]'"),
        ([("MODEL.VIT.TAPS", "[3, 2, 1, 0]")], {}, r"expected four that rise to the last"),
        ([("MODEL.VIT.TAPS", "[1, 3]")], {}, r"TAPS is \[1, 3\], .* expected four"),
        ([("MODEL.VIT.REL_BIAS_SHARED", "False")], {}, "the engines honour True in a FPNViT recipe"),
        ([("MODEL.TAP_PYRAMID.NORM", "''")], {}, "TAP_PYRAMID.NORM is ''; the engines honour 'GN' or 'LN'"),
        ([("INPUT.MAX_SIZE_TEST", 1333)], {}, "above the square of MODEL.TAP_PYRAMID.SQUARE_PAD, 160"),
    ],
)
def test_what_does_not_fit_is_refused(
    keys: list[tuple[str, Any]], facts: dict[str, Any], message: str
) -> None:
    with pytest.raises(TransferError, match=message):
        config(*keys, **facts)


def test_a_width_that_has_no_32_groups_is_refused() -> None:
    cfg = config(embed_dim=48, mlp_dim=96)
    with pytest.raises(TransferError, match="GN has 32 groups of channels, and there are 48: take a network"):
        load_engine("torchvision").build(cfg, CPU)
