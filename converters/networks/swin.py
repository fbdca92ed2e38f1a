"""Describes the Swin transformer (the first, of absolute scores; not V2) in its row."""

from __future__ import annotations

from functools import lru_cache
from math import isqrt
from types import MappingProxyType
from typing import Any

from converters.networks import stages
from converters.networks.family import Fact, Facts, Family, Shape, Shapes
from converters.networks.swin_names import DIALECTS, TABLE

FACTS = (
    Fact("embed_dim", int, 96, "channels of stage 1"),
    Fact("depths", list, [2, 2, 6, 2], "blocks a stage"),
    Fact("num_heads", list, [3, 6, 12, 24], "heads a stage"),
    Fact("window", list, [7, 7, 7, 7], "window a stage"),  # they differ in iBOT's 14 and in Swin-S3
    Fact("patch_size", int, 4, "patch size"),
    Fact("absolute_positions", int, 0, "absolute positions"),  # how many, 0 is none
    Fact("patch_norm", bool, True, "norm of the patches"),
    Fact("final_norm", bool, True, "final norm"),
)
NORM_EPS = Fact("norm_eps", float, 1e-5, "norm epsilon", most=0.1)
WIDEST, LARGEST_WINDOW, LARGEST_PATCH = 1 << 13, 128, 64
SIZES: stages.Sizes = {
    (96, (2, 2, 6, 2)): "T",
    (96, (2, 2, 18, 2)): "S",
    (128, (2, 2, 18, 2)): "B",
    (192, (2, 2, 18, 2)): "L",
}


def shapes(facts: Facts) -> Shapes:
    """Every tensor by Microsoft's names, 173 for Swin-T. ValueError for facts of no such network."""
    limits = {"embed_dim": (1, WIDEST), "patch_size": (1, LARGEST_PATCH), "absolute_positions": (0, 1 << 20)}
    for key, (least, most) in limits.items():
        if type(facts[key]) is not int or not least <= facts[key] <= most:
            raise ValueError(f"{key} {facts[key]!r:.60}; expected {least} to {most}")
    positions, heads = facts["absolute_positions"], stages.four(facts, "num_heads")
    if isqrt(positions) ** 2 != positions:
        raise ValueError(f"absolute_positions {positions}; expected those of a square grid")
    if any((facts["embed_dim"] << stage) % count for stage, count in enumerate(heads)):
        raise ValueError(
            f"num_heads {list(heads)} do not divide {facts['embed_dim']} channels and their doubles"
        )
    return _shapes(
        (facts["embed_dim"], facts["patch_size"], positions),
        stages.four(facts, "depths", stages.DEEPEST),
        heads,
        stages.four(facts, "window", (LARGEST_WINDOW,) * 4),
        (bool(facts["patch_norm"]), bool(facts["final_norm"])),
    )


@lru_cache(maxsize=64)
def _shapes(
    patches: tuple[int, int, int],
    blocks: tuple[int, ...],
    heads: tuple[int, ...],
    windows: tuple[int, ...],
    norms: tuple[bool, bool],
) -> Shapes:
    first, patch, positions = patches
    found: dict[str, Shape] = stages.module("patch_embed.proj", first, 3, patch, patch)
    found |= stages.module("patch_embed.norm", first) if norms[0] else {}
    found |= {"absolute_pos_embed": (1, positions, first)} if positions else {}
    for stage in range(4):
        width = first << stage
        for here in (f"layers.{stage}.blocks.{block}" for block in range(blocks[stage])):
            found |= stages.module(f"{here}.norm1", width)
            found[f"{here}.{TABLE}"] = ((2 * windows[stage] - 1) ** 2, heads[stage])
            found |= stages.module(f"{here}.attn.qkv", 3 * width, width) | stages.module(
                f"{here}.attn.proj", width, width
            )
            found |= stages.module(f"{here}.norm2", width)
            found |= stages.module(f"{here}.mlp.fc1", 4 * width, width) | stages.module(
                f"{here}.mlp.fc2", width, 4 * width
            )
        if stage < 3:
            found |= stages.module(f"layers.{stage}.downsample.norm", 4 * width)
            found |= stages.module(f"layers.{stage}.downsample.reduction", 2 * width, 4 * width, bias=False)
    found |= stages.module("norm", first << 3) if norms[1] else {}
    return MappingProxyType(found)


def closest(found: Shapes) -> dict[str, Any]:
    """The facts of the Swin that best explains shapes by our names."""
    usual = {fact.key: fact.usual for fact in FACTS}
    first = min(stages.size(found, "patch_embed.proj.weight", 0, usual["embed_dim"]), WIDEST)
    tables = [f"layers.{stage}.blocks.0.{TABLE}" for stage in range(4)]
    heads = [stages.size(found, table, 1, 1) for table in tables]
    windows = [(isqrt(stages.size(found, table, 0, 169)) + 1) // 2 for table in tables]
    positions = stages.size(found, "absolute_pos_embed", 1, 0)
    return {
        "embed_dim": first,
        "depths": stages.depths(found, r"layers\.(\d+)\.blocks\.(\d+)\."),
        "num_heads": [1 if (first << stage) % count else count for stage, count in enumerate(heads)],
        "window": [min(window, LARGEST_WINDOW) for window in windows],
        "patch_size": min(
            stages.size(found, "patch_embed.proj.weight", 2, usual["patch_size"]), LARGEST_PATCH
        ),
        "absolute_positions": positions if isqrt(positions) ** 2 == positions else 0,
        "patch_norm": any(name.startswith("patch_embed.norm.") for name in found),
        "final_norm": any(name.startswith("norm.") for name in found),
    }


def _label(facts: Facts) -> str:
    return f"Swin-{stages.sized(facts, SIZES, facts['embed_dim'])}"


def _details(facts: Facts) -> str:
    heads, windows = (", ".join(map(str, facts[key])) for key in ("num_heads", "window"))
    held = " and ".join(
        title for key, title in (("patch_norm", "patch norm"), ("final_norm", "final norm")) if facts[key]
    )
    return f"heads {heads}, windows {windows}, patches of {facts['patch_size']}, {held or 'no outer norms'}"


SWIN = Family(
    "swin",
    "Swin",
    facts=FACTS,
    stated=(NORM_EPS,),
    shapes=shapes,
    closest=closest,
    label=_label,
    details=_details,
    dialects=DIALECTS,
    export_dialect="swin",
    colours="patch_embed.proj.weight",
    compared=("patch_embed.proj.weight", "layers.3.blocks.0.attn.qkv.weight", f"layers.1.blocks.0.{TABLE}"),
    warnings=(stages.untrained, stages.no_final_norm),
)
