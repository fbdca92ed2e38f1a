"""The factor of every layer's rate, by hand and against the rules of the recipes' authors."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from transfer.engines.choose import load_engine
from transfer.engines.layer_decay import convnext_factor, vit_factor
from transfer.engines.norms import norm_layer
from transfer.engines.solver import parameter_groups
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.resolve import apply_manifest, load_recipe
from transfer.recipes.swin import SWIN

THEIRS = "object_detection/mmcv_custom/layer_decay_optimizer_constructor.py"
ABSOLUTE = {SWIN.name: {"absolute_positions": 3136}}
VIT_NAMES = {  # of a ViT-B: name -> layers behind it
    "backbone.net.pos_embed": 13,
    "backbone.net.patch_embed.proj.weight": 13,
    "backbone.net.blocks.0.norm1.bias": 12,
    "backbone.net.blocks.11.attn.rel_pos_h": 1,
    "backbone.net.blocks.10.ls1.gamma": 2,
    "backbone.net.cls_token": 0,
    "backbone.net.norm_pre.weight": 0,
    "backbone.simfp_2.0.weight": 0,
    "roi_heads.box_head.fc1.weight": 0,
    "proposal_generator.blocks.3.weight": 0,
}


def test_a_vits_layers_by_hand() -> None:
    for name, behind in VIT_NAMES.items():
        assert vit_factor(name, 0.7, 12) == pytest.approx(0.7**behind), name
    assert vit_factor("backbone.net.pos_embed", 0.7, 12) == pytest.approx(0.0097, abs=5e-5)


@pytest.mark.detectron2
def test_a_vits_layers_are_detectron2s() -> None:
    if importlib.util.find_spec("detectron2") is None:
        pytest.skip("Detectron2 is not importable; they were compared by hand")
    from detectron2.modeling.backbone.vit import get_vit_lr_decay_rate

    for name in VIT_NAMES:
        assert vit_factor(name, 0.7, 12) == get_vit_lr_decay_rate(name, 0.7, 12), name


@pytest.mark.parametrize(("depths", "layers"), [([3, 3, 9, 3], 6), ([3, 3, 27, 3], 12)])
def test_a_convnexts_layers_by_hand(depths: list[int], layers: int) -> None:
    """Name -> layer, as the authors number them: T has 6, B 12, and what follows is one more."""
    last = depths[2] - 1
    numbers = {
        "downsample_layers.0.0.weight": 0,
        "stages.0.2.gamma": 1,
        "downsample_layers.1.1.weight": 2,
        "stages.1.0.pwconv1.weight": 2,
        "downsample_layers.2.0.bias": 3,
        "stages.2.2.dwconv.weight": 3,
        "stages.2.3.dwconv.weight": 4,
        f"stages.2.{last}.norm.weight": 3 + last // 3,
        "downsample_layers.3.1.weight": layers,
        "stages.3.0.pwconv2.bias": layers,
        "norm_maps.2.weight": layers + 1,
    }
    for name, number in numbers.items():
        found = convnext_factor(f"backbone.bottom_up.{name}", 0.8, depths)
        assert found == pytest.approx(0.8 ** (layers + 1 - number)), name
    assert convnext_factor("backbone.fpn_lateral2.weight", 0.8, depths) == 1


@pytest.fixture
def engine_and_model(request: pytest.FixtureRequest) -> tuple[Any, Any, nn.Module]:
    """A recipe's model on the meta device, at its real depths."""
    family = {"coco_convnext_t_3x": CONVNEXT, "coco_swin_t_3x": SWIN}[request.param]
    cfg = apply_manifest(load_recipe(request.param), random_manifest(family) | ABSOLUTE.get(family.name, {}))
    engine = load_engine("torchvision")
    with torch.device("meta"):
        return cfg, engine, engine.build(cfg, torch.device("meta"))


def _groups(cfg: Any, engine: Any, model: nn.Module) -> dict[str, tuple[float, float, int]]:
    """Name -> share of the rate, decay, number of dimensions; the warm-up's share is taken out."""
    solver, _ = engine.solver(cfg, model)
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: (group["initial_lr"] / cfg.SOLVER.BASE_LR, group["weight_decay"], p.ndim)
        for group in solver.param_groups
        for p in group["params"]
    }


@pytest.mark.parametrize("engine_and_model", ["coco_convnext_t_3x"], indirect=True)
def test_a_convnext_has_its_authors_groups(engine_and_model: Any) -> None:
    """Vectors do not decay, all else does."""
    found = _groups(*engine_and_model)
    assert len(found) == 178 + 8 + 42  # without the final norm; norms of maps; FPN, RPN, heads
    for name, (_, decay, ndim) in found.items():
        assert decay == (0.0 if ndim == 1 else 0.05), name
    assert len({rate for rate, _, _ in found.values()}) == 8, "0 to 6, and what follows"


@pytest.mark.parametrize("engine_and_model", ["coco_convnext_t_3x"], indirect=True)
def test_a_convnexts_layers_are_those_of_its_authors_function(engine_and_model: Any) -> None:
    found, theirs = _groups(*engine_and_model), _layer_of_their_code()
    for name, (rate, _, _) in found.items():
        layer = theirs(re.sub(r"^backbone\.bottom_up\.|^backbone\.fpn_", _in_mmdet, name), 6)
        assert rate == pytest.approx(0.95 ** (7 - layer)), name


def _in_mmdet(match: re.Match[str]) -> str:
    return "backbone." if "bottom_up" in match[0] else "neck."


def _layer_of_their_code() -> Callable[[str, int], int]:
    """`get_num_layer_layer_wise` of facebookresearch/ConvNeXt, alone: the rest of its file needs mmcv."""
    file = Path(os.environ.get("CONVNEXT_REPO", "")) / THEIRS
    if not file.is_file():
        pytest.skip("CONVNEXT_REPO names no checkout of facebookresearch/ConvNeXt; rates were held by hand")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    (code,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.endswith("layer_wise"))
    names: dict[str, Any] = {}
    exec(compile(ast.Module([code], []), str(file), "exec"), names)
    layer: Callable[[str, int], int] = names[code.name]
    return layer


@pytest.mark.parametrize("engine_and_model", ["coco_swin_t_3x"], indirect=True)
def test_a_swin_has_its_authors_groups(engine_and_model: Any) -> None:
    """mmcv takes the first of these words that a name contains: no decay; everything has the full rate."""
    found = _groups(*engine_and_model)
    spared = ("absolute_pos_embed", "relative_position_bias_table", "norm")
    for name, (rate, decay, _) in found.items():
        assert rate == 1, name
        assert decay == (0.0 if any(word in name for word in spared) else 0.05), name
    counts = [sum(word in name for name in found) for word in spared]
    assert counts == [1, 12, 64]


def test_norms_of_channels_decay_and_those_of_tokens_do_not() -> None:
    """As in Detectron2, whose LN is no nn.LayerNorm: decided the same, to give the numbers of its recipes."""
    cfg = load_recipe("coco_vitdet_b")
    kinds = {"tokens": nn.LayerNorm(4), "channels": norm_layer("LN")(4), "group": nn.GroupNorm(2, 4)}
    model = nn.ModuleDict(kinds)
    model.pos_embed = nn.Parameter(torch.zeros(1))  # type: ignore[assignment]
    groups = parameter_groups(cfg, model, lambda name: 1.0)
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    found = {name: decay[id(p)] for name, p in model.named_parameters() if name.endswith(("weight", "embed"))}
    assert found == {"tokens.weight": 0, "channels.weight": 0.1, "group.weight": 0, "pos_embed": 0}
