"""Guesses which vision transformer has given shapes; the caller compares it with the shapes again."""

from __future__ import annotations

from math import isqrt
from typing import Any

from converters.networks.family import ASIDE, Shapes
from converters.networks.vit_shapes import (
    DEEPEST,
    FACTS,
    HEADS,
    MLP,
    PER_BLOCK,
    SHARED,
    SWIGLU,
    TABLE,
    is_square,
)

USUAL = {fact.key: fact.usual for fact in FACTS}
# Found beside a network without a position table: it turns queries and keys instead.
ROPE = f"{ASIDE}rope"
# Pools of a network without class token (timm): a norm behind the average, or a query that attends.
POOLS = (f"{ASIDE}fc_norm.weight", f"{ASIDE}attn_pool")


def closest(found: Shapes) -> dict[str, Any]:
    """The facts of the ViT that best explains shapes by our names; what is not there is as usual.

    Tensors ASIDE count as evidence. `num_heads` is among the facts where a shape tells it.
    """
    facts = USUAL | _sizes(found)
    facts |= {key: any(name.endswith(ending) for name in found) for key, ending in _SWITCHES.items()}
    facts["mlp"] = SWIGLU if any(name.endswith(".mlp.fc1_g.weight") for name in found) else MLP
    facts |= _relative(found)
    return facts | _positions(found, facts) | _heads(found, facts)


_SWITCHES = {
    "pre_norm": "norm_pre.weight",
    "layer_scale": ".ls1.gamma",
    "mlp_norm": ".mlp.norm.weight",
    "attn_norm": ".attn.norm.weight",
    "qk_norm": ".attn.q_norm.weight",
    "qkv_bias": ".attn.qkv.bias",
}


def _sizes(found: Shapes) -> dict[str, Any]:
    kernel = _shape(found, "patch_embed.proj.weight")
    width = kernel[0] if kernel and kernel[0] else _first(found, ".norm1.weight") or USUAL["embed_dim"]
    hidden = _first(found, ".mlp.fc1.weight") or _first(found, ".mlp.fc1_g.weight")
    blocks = {name.split(".")[1] for name in found if name.startswith("blocks.")}
    registers = _shape(found, "register_tokens")
    return {
        "embed_dim": width,
        "depth": min(max(len(blocks), 1), DEEPEST),
        "mlp_dim": hidden or 4 * width,
        "patch_size": kernel[2] if len(kernel) == 4 and kernel[2] else USUAL["patch_size"],
        "registers": registers[1] if len(registers) == 3 else 0,
        # A pool's norm takes its place in fine-tuned files; RADIO has none.
        "final_norm": "norm.weight" in found or "norm.bias" in found,
    }


def _positions(found: Shapes, facts: dict[str, Any]) -> dict[str, Any]:
    shape = _shape(found, "pos_embed")
    tokens, given = shape[1] if len(shape) == 3 else 0, "cls_token" in found
    if not tokens and (facts["rel_pos"] or ROPE in found):
        return {"pos_tokens": 0, "pos_prefix": 0, "class_token": True}
    if not (is_square(tokens) or is_square(tokens - 1)):
        tokens = isqrt(tokens) ** 2 + 1 if tokens > 3 else USUAL["pos_tokens"]
    if not is_square(tokens):
        return {"pos_tokens": tokens, "pos_prefix": 1, "class_token": True}
    # Without a class token is what pools otherwise, or has no layer scale (SigLIP, I-JEPA) or bias (timm).
    pooled = any(pool in found for pool in POOLS)
    none = pooled or not (facts["layer_scale"] and facts["qkv_bias"])
    return {"pos_tokens": tokens, "pos_prefix": 0, "class_token": given or not none}


def _relative(found: Shapes) -> dict[str, Any]:
    kind = SHARED if f"rel_pos_bias.{TABLE}" in found else PER_BLOCK
    table = next((shape for name, shape in found.items() if name.endswith(f".{TABLE}")), ())
    if len(table) != 2:
        return {"rel_pos": "", "rel_pos_grid": 0}
    return {"rel_pos": kind, "rel_pos_grid": max(1, (isqrt(max(0, table[0] - 3)) + 1) // 2)}


def _heads(found: Shapes, facts: dict[str, Any]) -> dict[str, int]:
    """Heads, where the columns of a table or the width of a query's norm tell them."""
    table = next((shape for name, shape in found.items() if name.endswith(f".{TABLE}")), ())
    width = _first(found, ".attn.q_norm.weight")
    heads = table[1] if len(table) == 2 else facts["embed_dim"] // width if width else 0
    return {HEADS: heads} if heads and facts["embed_dim"] % heads == 0 else {}


def _shape(found: Shapes, name: str) -> tuple[int, ...]:
    return found.get(name, ())


def _first(found: Shapes, ending: str) -> int:
    """The first axis of the first such tensor of a block, 0 if there is none."""
    return next((shape[0] for name, shape in found.items() if name.endswith(ending) and shape), 0)
