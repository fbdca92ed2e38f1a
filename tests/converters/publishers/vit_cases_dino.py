"""Lists files of DINOv2 and DINOv3: chunks, registers, gated MLPs, rotary positions, masked biases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.converters.checkpoint_nets import Weights
from tests.converters.foreign_names import prefixed
from tests.converters.publishers.vit_case import GAMMA, LAYER_SCALE, NET, ViTCase, at, flat, junk
from tests.converters.publishers.vit_nets import Net, filled, plain

SECOND = replace(NET, patch=14, side=3, scale=LAYER_SCALE)
THIRD = replace(NET, positions=0, scale=LAYER_SCALE)
MASK = junk("mask_token", shape=(1, 64))
ROTARY = {
    "rope": "dinov3",
    "rope_base": 100.0,
    "norm_eps": 1e-5,
    "pos_tokens": 0,
    "num_heads": 1,
    "registers": 4,
}
SATELLITE = {"pixel_std": [54.315, 39.78, 36.465], "rope": "dinov3", "num_heads": 16}


def _chunked(weights: Weights, of: int = 3) -> Weights:
    """Blocks in lists of three: block 4 is `blocks.1.4.`, as FSDP's chunks leave it."""

    def name(text: str) -> str:
        parts = text.split(".")
        return ".".join([parts[0], str(int(parts[1]) // of), *parts[1:]]) if parts[0] == "blocks" else text

    return {name(text): array for text, array in weights.items()}


def _gated(weights: Weights, names: tuple[str, str, str]) -> tuple[Weights, Weights]:
    """The MLPs as gated ones: (with gate and value in one tensor or two, by their names; by ours)."""
    theirs, ours = {}, {}
    gate, value, out = names
    for name, array in weights.items():
        block, _, part = name.rpartition(".mlp.fc1.")
        if block:
            other = array + np.float32(0.5)
            ours |= {f"{block}.mlp.fc1_g.{part}": array, f"{block}.mlp.fc1_x.{part}": other}
            joined = {f"{block}.mlp.{gate}.{part}": np.concatenate([array, other])}
            apart = {f"{block}.mlp.{gate}.{part}": array, f"{block}.mlp.{value}.{part}": other}
            theirs |= apart if value else joined
        else:
            ours[name] = array
            theirs[name.replace(".mlp.fc2.", f".mlp.{out}.")] = array
    return theirs, ours


def _second() -> tuple[ViTCase, ...]:
    weights = filled(plain(SECOND), 31)
    tokens = filled({"register_tokens": (1, 4, 64)}, 32)
    packed, ours = _gated(weights, ("w12", "", "w3"))
    in_timm, _ = _gated(weights, ("fc1", "", "fc2"))
    heads = junk("dino_head.last_layer.weight_v", "ibot_head.mlp.0.weight")
    trained = prefixed(_chunked(packed | MASK), "backbone.") | heads
    facts = {"layer_scale": True, "patch_size": 14, "pos_interpolation": "offset", "activation": "gelu"}
    smooth = {"registers": 4, "pos_interpolation": "antialias"}
    gated = {"mlp": "swiglu", "activation": "silu"}
    return (
        ViTCase("dinov2", "dinov2", weights | MASK, weights, flat, facts=facts),
        ViTCase("dinov2-giant", "dinov2", packed | MASK, ours, flat, facts=facts | gated),
        ViTCase("dinov2-chunked", "dinov2", trained, ours, at("teacher"), facts=facts | gated),
        ViTCase("dinov2-timm", "dinov2", in_timm, ours, flat, stated="dinov2", facts=facts | gated),
        ViTCase("dinov2-reg", "dinov2_reg", weights | tokens | MASK, weights | tokens, flat, facts=smooth),
    )


def _third_file(net: Net, seed: int, mask: float | None = None) -> tuple[Weights, Weights]:
    """(by DINOv3's names, by ours); a mask of 1, 0, 1, or of one number throughout."""
    weights, third = filled(plain(net), seed), net.width
    tokens = filled({"t": (1, 4, net.width)}, seed + 1)["t"]
    periods = np.array([100 ** (k / 16) for k in range(16)], "f4")
    theirs, ours = dict(weights), weights | {"register_tokens": tokens}
    for name, array in weights.items():
        if name.endswith("qkv.bias"):
            kept = np.r_[np.ones(third), np.zeros(third), np.ones(third)].astype("f4")
            theirs[f"{name}_mask"] = kept if mask is None else np.full(3 * third, mask, "f4")
            ours[name] = np.concatenate([array[:third], np.zeros(third, "f4"), array[2 * third :]])
    extra = junk("mask_token", shape=(1, net.width)) | {"rope_embed.periods": periods}
    return theirs | {"storage_tokens": tokens} | extra, ours


def _in_timm(ours: Weights, biases: bool) -> tuple[Weights, Weights]:
    """(by timm's names, by ours), with biases of queries and values or with none."""
    theirs, left, width = {}, {}, 64
    for name, array in ours.items():
        if not name.endswith("qkv.bias"):
            new = name.replace("ls1.gamma", GAMMA[0]).replace("ls2.gamma", GAMMA[1])
            theirs[new.replace("register_tokens", "reg_token")] = array
        elif biases:
            block = name.removesuffix("qkv.bias")
            theirs |= {f"{block}q_bias": array[:width], f"{block}v_bias": array[2 * width :]}
        if biases or not name.endswith("qkv.bias"):
            left[name] = array
    return theirs, left


def _third() -> tuple[ViTCase, ...]:
    theirs, ours = _third_file(THIRD, 41)
    unset, _ = _third_file(THIRD, 41, float("nan"))
    gated, gated_ours = _gated(theirs, ("w1", "w2", "w3"))
    for name in [n for n in gated_ours if n.endswith("mask") or n in ("mask_token", "rope_embed.periods")]:
        del gated_ours[name]
    gated_ours = {n: ours.get(n, a) for n, a in gated_ours.items() if n != "storage_tokens"}
    gated_ours["register_tokens"] = ours["register_tokens"]
    large, large_ours = _third_file(replace(THIRD, width=1024, depth=1, hidden=8, patch=2), 43)
    satellite = large | junk("local_cls_norm.weight", "local_cls_norm.bias", shape=(1024,))
    plain_timm, biased_timm = _in_timm(ours, False), _in_timm(ours, True)
    return (
        ViTCase("dinov3", "dinov3", theirs, ours, flat, facts=ROTARY),
        ViTCase("dinov3-mask-unset", "dinov3", unset, ours, flat, facts=ROTARY),
        ViTCase("dinov3-plus", "dinov3", gated, gated_ours, flat, facts=ROTARY | {"activation": "silu"}),
        ViTCase("dinov3-satellite", "dinov3_sat", satellite, large_ours, flat, facts=SATELLITE),
        ViTCase("dinov3-timm", "dinov3", *plain_timm, flat, facts=ROTARY | {"qkv_bias": False}),
        ViTCase("dinov3-timm-biases", "dinov3", *biased_timm, flat, facts=ROTARY | {"qkv_bias": True}),
    )


DINO_CASES = (*_second(), *_third())
