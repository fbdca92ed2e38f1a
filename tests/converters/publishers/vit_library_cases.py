"""Files of Google's, EVA-02's and the libraries' vision transformers, but for transformers'."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.converters import vit_foreign_names as names
from tests.converters import vit_npz as npz
from tests.converters.publishers.files import OPTIONS
from tests.converters.publishers.vit_foreign_files import (
    CLIP,
    NO_CLASS,
    SCALED,
    SMALL_HEADS,
    SWIGLU,
    TANH,
    ViTCase,
    Weights,
    junk,
    lightning_file,
    npz_file,
    prefixed,
    torch_file,
)

EVA = {**SWIGLU, "mlp_norm": True}
ROPE = {"rope": "eva02", "rope_base": 10000.0, "activation": "silu", "num_heads": SMALL_HEADS}


def packed_eva(weights: Weights, fused: str, out: str) -> Weights:
    """EVA-02's Ti and S: one tensor for gate and value, one for queries, keys and values, two biases."""
    found: Weights = {}
    for name, array in names.joined_gate(weights, fused).items():
        if name.endswith("qkv.bias"):
            query, _, value = np.split(array, 3)
            found |= {name.replace("qkv.bias", "q_bias"): query, name.replace("qkv.bias", "v_bias"): value}
        else:
            found[name.replace("mlp.fc2", out)] = array
    return found


def timm_eva(weights: Weights, prefix: str = "") -> Weights:
    split = names.split_qkv(weights, no_key_bias=True)
    return names.substituted(split, ((r"\.attn\.([qkv])\.", r".attn.\1_proj."),), prefix)


def vitdet(weights: Weights, zeros: bool = False) -> dict[str, Any]:
    """A detector's: a position for the class token that it does not have, and what stands behind it."""
    found: dict[str, Any] = dict(weights)
    first = np.full((1, 1, weights["pos_embed"].shape[2]), 0.25, np.float32)
    found["pos_embed"] = np.concatenate([first, weights["pos_embed"]], axis=1)
    tables = [f"blocks.{block}.attn.rel_pos_{axis}" for block in range(2) for axis in "hw"] if zeros else []
    found |= {name: np.zeros((7, 16), np.float32) for name in tables}
    heads = junk("backbone.simfp_2.0.weight", "proposal_generator.rpn_head.conv.weight", "roi_heads.x.bias")
    return prefixed(found, "backbone.net.") | heads


LIBRARIES: tuple[ViTCase, ...] = (
    ViTCase(
        "augreg",
        npz_file(lambda w: npz.google(w, SMALL_HEADS) | junk("head/kernel", "head/bias")),
        "augreg_npz",
        {},
        TANH,
        pixels=127.5,
    ),
    ViTCase(
        "augreg-opt",
        npz_file(
            lambda w: (
                npz.google(w, SMALL_HEADS, "opt/target/")
                | junk("opt/target/pre_logits/kernel", "opt/state/step")
            )
        ),
        "augreg_npz",
        {},
        TANH,
        pixels=127.5,
    ),
    ViTCase(
        "augreg-params",
        npz_file(lambda w: npz.google(w, SMALL_HEADS, "params/")),
        "augreg_npz",
        {},
        TANH,
        pixels=127.5,
    ),
    ViTCase(
        "big_vision",
        npz_file(lambda w: npz.big_vision(w, SMALL_HEADS, "params/")),
        "big_vision",
        {"pos_tokens": 16, "pos_prefix": 0, "class_token": True},
        TANH,
        pixels=127.5,
    ),
    ViTCase(
        "eva02",
        torch_file(
            lambda w: names.eva02(w, SMALL_HEADS) | junk("lm_head.weight", "mask_token"),
            lambda s: {"module": s},
        ),
        "eva02",
        EVA,
        ROPE,
        keyless=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "eva02_clip",
        torch_file(
            lambda w: (
                names.eva02(w, SMALL_HEADS, "visual.")
                | junk("visual.head.weight", "text.ln_final.weight", "logit_scale")
            )
        ),
        "eva02",
        {**EVA, "attn_norm": True},
        ROPE,
        keyless=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "eva02_packed",
        torch_file(lambda w: packed_eva(w, "w12", "mlp.w3") | junk("head.weight"), lambda s: {"model": s}),
        "eva02",
        SWIGLU,
        {"rope": "eva02", "activation": "silu"},
        keyless=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "timm_eva02",
        torch_file(timm_eva),
        "timm_eva02",
        EVA,
        {"rope": "eva02", "activation": "silu"},
        keyless=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "timm_eva02-open_clip",
        torch_file(
            lambda w: timm_eva(w, "visual.trunk.") | junk("visual.trunk.head.weight", "text.ln_final.weight")
        ),
        "timm_eva02",
        {**EVA, "attn_norm": True},
        {"rope": "eva02"},
        keyless=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "timm_eva02_packed",
        torch_file(lambda w: packed_eva(w, "fc1", "mlp.fc2")),
        "timm_eva02",
        SWIGLU,
        {"rope": "eva02"},
        keyless=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "torchvision_vit",
        torch_file(lambda w: names.torchvision(w) | junk("heads.head.weight")),
        "torchvision_vit",
    ),
    ViTCase(
        "torchvision_vit-old",
        torch_file(lambda w: names.torchvision(w, old=True) | junk("heads.head.weight")),
        "torchvision_vit",
    ),
    ViTCase(
        "mmpretrain_vit",
        torch_file(
            lambda w: names.mmpretrain(w) | junk("neck.decoder_embed.weight"),
            lambda s: {"meta": {"cfg": OPTIONS}, "state_dict": s},
        ),
        "mmpretrain_vit",
        SCALED,
    ),
    ViTCase(
        "mmpretrain_vit-clip",
        torch_file(lambda w: names.mmpretrain(w, ""), lambda s: {"meta": {}, "state_dict": s}),
        "mmpretrain_vit",
        CLIP,
        bare=True,
    ),
    ViTCase(
        "mmpretrain_vit-swiglu",
        torch_file(
            lambda w: names.substituted(
                names.mmpretrain(names.joined_gate(w, "w12")),
                ((r"mlp\.w12", "ffn.w12"), (r"ffn\.layers\.1\.", "ffn.w3.")),
            ),
            lambda s: {"meta": {}, "state_dict": s},
        ),
        "mmpretrain_vit",
        {**SWIGLU, **SCALED},
    ),
    ViTCase(
        "lightly_dino",
        lightning_file(
            lambda w: (
                prefixed(w, "backbone.vit.")
                | prefixed({n: a * 2 for n, a in w.items()}, "student_backbone.vit.")
                | junk("projection_head.layers.0.weight", "online_classifier.linear.weight")
            )
        ),
        "lightly_dino",
    ),
    ViTCase(
        "lightly_mae",
        lightning_file(
            lambda w: (
                prefixed(names.torchvision(w) | junk("heads.head.weight"), "backbone.")
                | junk("decoder.prediction_head.weight", "mask_token", "online_classifier.linear.weight")
            )
        ),
        "lightly_mae",
    ),
    ViTCase(
        "solo_learn_mae",
        lightning_file(
            lambda w: prefixed(w, "backbone.") | junk("decoder.decoder_embed.weight", "classifier.weight")
        ),
        "solo_learn_mae",
        {"embed_dim": 96, "mlp_dim": 128},
        {"num_heads": 12},
    ),
    ViTCase(
        "solo_learn_vit",
        lightning_file(
            lambda w: (
                prefixed(w, "backbone.")
                | prefixed({n: a * 2 for n, a in w.items()}, "momentum_backbone.")
                | junk("projector.0.weight", "classifier.weight")
            )
        ),
        "solo_learn_vit",
    ),
    ViTCase(
        "detectron2_vit",
        torch_file(vitdet, lambda s: {"model": s, "iteration": 9}),
        "detectron2_vit",
        {**NO_CLASS, "final_norm": False},
    ),
    ViTCase(
        "detectron2_vit-zeros",
        torch_file(lambda w: vitdet(w, zeros=True), lambda s: {"model": s}),
        "detectron2_vit",
        {**NO_CLASS, "final_norm": False},
    ),
    ViTCase(
        "lightning-mae",
        lightning_file(lambda w: prefixed(w | junk("decoder_embed.weight", "mask_token"), "model.")),
        "lightning",
    ),
)
