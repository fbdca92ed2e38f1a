"""Makes small ViTs of each kind: our facts, and the class of timm that computes the same.

Weights look trained: no factor is one and no offset is zero, so nothing can be left out unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

PATCH, SIDE = 8, 7
SIZES = ((56, 56), (48, 72), (128, 160))  # native, wide, as in detection
PLAIN: dict[str, Any] = {
    "family": "vit",
    "embed_dim": 64,
    "depth": 4,
    "mlp_dim": 256,
    "patch_size": PATCH,
    "pos_tokens": SIDE * SIDE + 1,
    "pos_prefix": 1,
    "class_token": True,
    "registers": 0,
    "pre_norm": False,
    "final_norm": True,
    "layer_scale": False,
    "mlp": "mlp",
    "mlp_norm": False,
    "attn_norm": False,
    "qk_norm": False,
    "qkv_bias": True,
    "rel_pos": "",
    "rel_pos_grid": 0,
    "num_heads": 4,
    "norm_eps": 1e-6,
    "activation": "gelu",
    "rope": "",
    "rope_base": 100.0,
    "pos_interpolation": "detectron2",
}
NO_POSITIONS = {"pos_tokens": 0, "pos_prefix": 0}
BARE = {**NO_POSITIONS, "pos_tokens": SIDE * SIDE}  # a class token without a position, or none at all
SHARED = {**NO_POSITIONS, "layer_scale": True, "rel_pos": "shared", "rel_pos_grid": SIDE}
# Kind -> how its facts differ from PLAIN's; on other grids timm's formula is the filtered one.
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no class token": {**BARE, "class_token": False},
    "narrow heads": {"num_heads": 8, "norm_eps": 1e-5},
    "registers": {**BARE, "registers": 4, "layer_scale": True},
    "dinov2": {"layer_scale": True},
    "clip": {"pre_norm": True, "activation": "quick_gelu", "norm_eps": 1e-5},
    "siglip": {**BARE, "class_token": False, "activation": "gelu_tanh"},
    "deit3": {**BARE, "layer_scale": True},
    "qk norm": {"qk_norm": True, "qkv_bias": False},
    "no final norm": {"final_norm": False},
    "dinov3": {**NO_POSITIONS, "registers": 4, "layer_scale": True, "norm_eps": 1e-5, "rope": "dinov3"},
    "dinov3 swiglu": {**NO_POSITIONS, "registers": 4, "rope": "dinov3", "mlp": "swiglu", "mlp_dim": 176},
    "eva02": {"rope": "eva02", "rope_base": 10000.0, "mlp": "swiglu", "mlp_dim": 168, "mlp_norm": True},
    "eva02 sub-norms": {"rope": "eva02", "rope_base": 10000.0, "attn_norm": True, "norm_eps": 1e-4},
    "beit": SHARED,
    "beit fine-tuned": {**SHARED, "rel_pos": "per_block", "final_norm": False},
}


def facts(kind: str) -> dict[str, Any]:
    found = PLAIN | KINDS[kind]
    formula = "bilinear" if found["rel_pos"] else "antialias"
    return {**found, "pos_interpolation": formula}


def trained(module: nn.Module, seed: int = 0) -> nn.Module:
    """Fills every parameter: matrices from N(0, 0.1), the factors of norms and scales around 0.8."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        factor = name.endswith(("gamma", "gamma_1", "gamma_2")) or (
            "norm" in name and name.endswith("weight")
        )
        with torch.no_grad():
            parameter.copy_(0.8 + 0.2 * drawn if factor else (0.1 if parameter.ndim > 1 else 0.3) * drawn)
    return module.eval()


def images(size: tuple[int, int], n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(sum(size)))


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference over the largest number of the oracle."""
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())


def timm_model(kind: str) -> nn.Module:
    """timm's class for the kind, of any image size."""
    known = facts(kind)
    common: dict[str, Any] = {
        "img_size": PATCH * SIDE,
        "patch_size": PATCH,
        "num_classes": 0,
        "embed_dim": known["embed_dim"],
        "depth": known["depth"],
        "num_heads": known["num_heads"],
        "mlp_ratio": known["mlp_dim"] / known["embed_dim"],
        "init_values": 0.5 if known["layer_scale"] else None,
        "norm_layer": partial(nn.LayerNorm, eps=known["norm_eps"]),
        "qkv_bias": known["qkv_bias"],
        "global_pool": "token" if known["class_token"] else "avg",
    }
    if known["rel_pos"]:
        return _beit(known, common)
    return _eva(known, common) if known["rope"] else _plain(known, common)


def _plain(known: dict[str, Any], common: dict[str, Any]) -> nn.Module:
    from timm.layers import QuickGELU
    from timm.models.vision_transformer import VisionTransformer

    activations: dict[str, Callable[..., nn.Module]] = {
        "gelu": nn.GELU,
        "quick_gelu": QuickGELU,
        "gelu_tanh": partial(nn.GELU, approximate="tanh"),
    }
    return VisionTransformer(
        **common,
        dynamic_img_size=True,
        class_token=known["class_token"],
        reg_tokens=known["registers"],
        no_embed_class=not known["pos_prefix"],
        pre_norm=known["pre_norm"],
        final_norm=known["final_norm"],
        fc_norm=False,
        qk_norm=known["qk_norm"],
        act_layer=activations[known["activation"]],
    )


def _eva(known: dict[str, Any], common: dict[str, Any]) -> nn.Module:
    from timm.models.eva import Eva

    dinov3 = known["rope"] == "dinov3"
    return Eva(
        **common,
        dynamic_img_size=True,
        use_rot_pos_emb=True,
        use_abs_pos_emb=bool(known["pos_tokens"]),
        num_reg_tokens=known["registers"],
        swiglu_mlp=known["mlp"] == "swiglu",
        swiglu_align_to=8 if dinov3 else 0,
        scale_mlp=known["mlp_norm"],
        scale_attn_inner=known["attn_norm"],
        qkv_fused=dinov3,
        rope_type="dinov3" if dinov3 else "cat",
        rope_temperature=known["rope_base"],
        rope_rotate_half=dinov3,
        ref_feat_shape=None if dinov3 else (16, 16),
        use_fc_norm=False,
        use_post_transformer_norm=True,
    )


def _beit(known: dict[str, Any], common: dict[str, Any]) -> nn.Module:
    from timm.models.beit import Beit

    shared = known["rel_pos"] == "shared"
    return Beit(
        **common,
        use_abs_pos_emb=False,
        use_shared_rel_pos_bias=shared,
        use_rel_pos_bias=not shared,
        use_fc_norm=not known["final_norm"],
    )


def renamed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """timm's tensors under our names, written down here a second time and by hand."""
    found = {}
    for name, tensor in state.items():
        new = name.replace("reg_token", "register_tokens").replace("gamma_", "ls")
        if ".ls" in new and not new.endswith(".gamma"):
            new += ".gamma"
        if name.startswith("fc_norm"):
            continue
        for part in ("q_proj", "q_bias"):
            if f"attn.{part}" in name:
                k, v = (state.get(name.replace(part, f"{x}{part[1:]}")) for x in "kv")
                k = torch.zeros_like(tensor) if k is None else k
                new = name.replace("q_proj", "qkv").replace("q_bias", "qkv.bias")
                tensor = torch.cat([tensor, k, v])
        if not any(f"attn.{x}" in name for x in ("k_proj", "v_proj", "v_bias")):
            found[new] = tensor
    return found
