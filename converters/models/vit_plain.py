"""Holds what plain vision transformers have in common, whatever their size. It imports no torch."""

from __future__ import annotations

from typing import Any

# The facts of arXiv 2010.11929's network as timm's `vit_base_patch16_224` has them.
PLAIN: dict[str, Any] = {
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
    "norm_eps": 1e-6,
    "activation": "gelu",
    "rope": "",
    "rope_base": 100.0,
}
