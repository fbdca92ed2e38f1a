"""Refuses facts and options that make no ViT, before anything is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from converters.models.mlp import ACTIVATIONS
from converters.models.positions import FORMULAS
from converters.models.rope import KINDS


def check(facts: Mapping[str, Any]) -> None:
    """Raises ValueError for facts of no ViT; the shapes of the tensors are the family's business."""
    chosen = {
        "activation": tuple(ACTIVATIONS),
        "pos_interpolation": FORMULAS,
        "rope": ("", *KINDS),
        "mlp": ("mlp", "swiglu"),
        "rel_pos": ("", "shared", "per_block"),
    }
    for key, values in chosen.items():
        if facts[key] not in values:
            raise ValueError(f"{key} {facts[key]!r:.60} is not known; expected one of {', '.join(values)}")
    width, heads = facts["embed_dim"], facts["num_heads"]
    if heads < 1 or width % heads:
        raise ValueError(f"num_heads {heads} does not divide embed_dim {width}")
    if facts["rope"] and width // heads % 4:
        raise ValueError(f"rope needs heads of a multiple of 4 channels, got {width // heads}")
    places = facts["pos_tokens"] - facts["pos_prefix"]
    if facts["pos_tokens"] and (places < 1 or round(places**0.5) ** 2 != places):
        raise ValueError(f"pos_tokens {facts['pos_tokens']} less {facts['pos_prefix']} is no square grid")
    if facts["pos_prefix"] and not (facts["pos_tokens"] and facts["class_token"]):
        raise ValueError("pos_prefix 1 is the position of a class token, and there is none")
    if facts["rel_pos"] and (facts["registers"] or facts["rel_pos_grid"] < 1):
        raise ValueError("a table of relative positions needs its rel_pos_grid, and knows no registers")


def check_options(
    facts: Mapping[str, Any], taps: Sequence[int], norm_taps: bool, global_blocks: Sequence[int]
) -> None:
    depth = facts["depth"]
    if not taps or any(not -depth <= number < depth for number in (*taps, *global_blocks)):
        asked = f"taps {list(taps)} and global blocks {list(global_blocks)}"
        raise ValueError(f"{asked}; expected numbers of {depth} blocks, and one tap at least")
    if norm_taps and not facts["final_norm"]:
        raise ValueError("this network has no final norm to put on its maps; say norm_taps false")
