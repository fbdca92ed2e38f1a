"""Lists files of publishers whose vision transformers have timm's words and a table of positions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tests.converters.checkpoint_nets import Weights, tensors
from tests.converters.foreign_names import prefixed
from tests.converters.publishers.vit_case import (
    GAMMA,
    HEAD,
    NET,
    TRAINING,
    ViTCase,
    Wrap,
    at,
    flat,
    junk,
)
from tests.converters.publishers.vit_nets import filled, plain, sincos


def _mae() -> list[ViTCase]:
    weights = filled(plain(NET)) | {"pos_embed": sincos(NET.side, NET.width)}
    decoder = junk(
        "decoder_embed.weight", "decoder_blocks.0.norm1.weight", "decoder_norm.weight", "decoder_pred.weight"
    )
    full = weights | decoder | junk("mask_token", "decoder_pos_embed", shape=(1, 1, 8))
    tuned = filled(plain(NET), 3)
    final = {name: tuned.pop(name) for name in ("norm.weight", "norm.bias")}
    pooled = tuned | {f"fc_{name}": array for name, array in final.items()} | HEAD
    facts = {"num_heads": 1, "norm_eps": 1e-6, "pos_tokens": 10, "pos_prefix": 1}
    return [
        ViTCase("mae-encoder", "mae", weights, weights, at("model"), facts=facts),
        ViTCase("mae-full", "mae", full, weights, at("model", scaler={}, **TRAINING), facts=facts),
        ViTCase("mae-fine-tuned", "mae", pooled, tuned, at("model"), facts={"final_norm": False}),
    ]


def _moco_v3() -> list[ViTCase]:
    net = replace(NET, width=96)
    table = {"pos_embed": sincos(net.side, net.width, moco=True)}
    online, slow = (filled(plain(net), seed) | table for seed in (1, 2))
    extra = junk(
        "module.base_encoder.head.0.weight",
        "module.predictor.0.weight",
        "module.momentum_encoder.head.3.weight",
    )
    facts, whole = {"num_heads": 12, "embed_dim": 96}, at("state_dict", arch="vit_small", **TRAINING)
    both = prefixed(online, "module.base_encoder.") | prefixed(slow, "module.momentum_encoder.") | extra
    return [
        ViTCase("moco_v3", "moco_v3_vit", both, online, whole, "online", facts=facts),
        ViTCase("moco_v3-exported", "moco_v3_vit", online, online, at("model"), "online", facts=facts),
    ]


def _dino() -> list[ViTCase]:
    net = replace(NET, patch=8, side=4, positions=17)
    teacher, student = filled(plain(net), 1), filled(plain(net), 2)
    state = prefixed(teacher, "backbone.") | junk("head.mlp.0.weight", "head.last_layer.weight_v")
    other = prefixed(student, "module.backbone.") | junk("module.head.mlp.0.weight")
    masked = junk("module.backbone.masked_embed", shape=(1, net.width))
    facts = {"pos_interpolation": "offset", "patch_size": 8, "num_heads": 1}

    def full(loss: str, more: Weights) -> Wrap:
        return lambda state: {
            "student": tensors(other | more),
            "teacher": tensors(state),
            loss: {},
            **TRAINING,
        }

    return [
        ViTCase("dino-full", "dino_vit", state, teacher, full("dino_loss", {}), "ema", facts=facts),
        ViTCase("dino-backbone", "dino_vit", teacher, teacher, flat, "ema", "dino_vit", facts),
        ViTCase(
            "plain", "vit_plain", teacher, teacher, flat, "online", facts={"pos_interpolation": "detectron2"}
        ),
        ViTCase("ibot-full", "ibot", state, teacher, full("ibot_loss", masked), "ema", facts=facts),
        ViTCase("ibot-teacher", "ibot", teacher, teacher, at("state_dict"), "ema", facts=facts),
        ViTCase(
            "ibot-student",
            "ibot_student",
            student | junk("masked_embed", shape=(1, net.width)),
            student,
            at("state_dict"),
            facts=facts,
        ),
    ]


def _supervised() -> list[ViTCase]:
    weights = filled(plain(NET), 4)
    distilled = filled(plain(replace(NET, positions=11)), 5) | {"dist_token": filled({"d": (1, 1, 64)})["d"]}
    table = distilled["pos_embed"]
    folded = {name: array for name, array in distilled.items() if name != "dist_token"} | {
        "pos_embed": np.delete(table, 1, axis=1),
        "register_tokens": distilled["dist_token"] + table[:, 1:2],
    }
    third = filled(plain(replace(NET, positions=9, scale=GAMMA)), 6)
    scaled = {
        name.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma"): a for name, a in third.items()
    }
    google = {"pixel_mean": [127.5] * 3, "pixel_std": [127.5] * 3}
    return [
        ViTCase("deit", "deit", weights | HEAD, weights, at("model"), facts={"registers": 0}),
        ViTCase("deit-distilled", "deit", distilled | HEAD | junk("head_dist.weight"), folded, at("model"),
                facts={"registers": 1, "pos_tokens": 10}),
        ViTCase("deit3", "deit3", third | HEAD, scaled, at("model"),
                facts={"layer_scale": True, "pos_tokens": 9, "pos_prefix": 0, "class_token": True}),
        ViTCase("augreg", "augreg", weights | HEAD, weights, flat, stated="augreg", facts=google),
        ViTCase("timm", "timm_vit", weights | HEAD, weights, flat, stated="timm_vit",
                facts={"pos_interpolation": "antialias"}),
    ]  # fmt: skip


def _ijepa() -> list[ViTCase]:
    weights = filled(plain(replace(NET, positions=9)), 7)
    del weights["cls_token"]
    predictor = junk(
        "module.predictor_embed.weight", "module.mask_token", "module.predictor_blocks.0.norm1.weight"
    )

    def whole(state: Weights) -> Any:
        both = {"encoder": tensors(prefixed(filled(plain(NET)), "module.")), "predictor": tensors(predictor)}
        return {**both, "target_encoder": tensors(state), "opt": {}, "scaler": None, "epoch": 1, "loss": 0.1}

    facts = {"class_token": False, "pos_tokens": 9, "pos_prefix": 0}
    return [ViTCase("ijepa", "ijepa", prefixed(weights, "module."), weights, whole, "ema", facts=facts)]


PLAIN_CASES: tuple[ViTCase, ...] = (*_mae(), *_moco_v3(), *_dino(), *_supervised(), *_ijepa())
