"""Describes the vision transformer in its row."""

from __future__ import annotations

from typing import Any

from converters.networks.family import Fact, Facts, Family
from converters.networks.vit_closest import closest
from converters.networks.vit_config import from_config
from converters.networks.vit_dialects import TIMM, TIMM_LIKE
from converters.networks.vit_names_eva import EVA
from converters.networks.vit_names_flax import FLAX
from converters.networks.vit_names_huggingface import HUGGINGFACE
from converters.networks.vit_names_libraries import LIBRARIES
from converters.networks.vit_refusals import REFUSALS
from converters.networks.vit_shapes import FACTS, HEADS, SWIGLU, shapes, usual_heads
from converters.networks.vit_signs import signs

# What no shape tells.
STATED = (
    Fact(HEADS, int, 12, "heads"),
    Fact("norm_eps", float, 1e-6, "epsilon of the norms", most=0.1),
    Fact("activation", str, "gelu", "activation", choices=("gelu", "gelu_tanh", "quick_gelu", "silu")),
    Fact("rope", str, "", "rotary positions", choices=("", "dinov3", "eva02")),
    Fact("rope_base", float, 100.0, "base of the rotary periods"),
    # How the publisher's code resizes the positions.
    Fact(
        "pos_interpolation",
        str,
        "detectron2",
        "resizing of the positions",
        choices=("detectron2", "offset", "antialias", "bilinear"),
    ),
)
# (width, depth) -> the letter that the papers give it.
LETTERS = {
    (192, 12): "Ti",
    (384, 12): "S",
    (768, 12): "B",
    (1024, 24): "L",
    (1280, 32): "H",
    (1152, 27): "So400m",
    (1408, 40): "g",
    (1536, 40): "g",
    (1664, 48): "G",
    (4096, 40): "7B",
}


def _label(facts: Facts) -> str:
    size = (facts["embed_dim"], facts["depth"])
    return f"ViT-{LETTERS.get(size, '{}x{}'.format(*size))}/{facts['patch_size']}"


def _details(facts: Facts) -> str:
    """Width, MLP, positions and all that a plain ViT does not have."""
    side = round((facts["pos_tokens"] - facts["pos_prefix"]) ** 0.5)
    places = f"{side}x{side} positions" if facts["pos_tokens"] else "no table of positions"
    switches = [fact.title for fact in FACTS if fact.kind is bool and facts[fact.key] and not fact.usual]
    without = [
        f"no {fact.title}" for fact in FACTS if fact.kind is bool and fact.usual and not facts[fact.key]
    ]
    registers = [f"{facts['registers']} registers"] if facts["registers"] else []
    relative = [f"{facts['rel_pos']} relative positions"] if facts["rel_pos"] else []
    told = [f"width {facts['embed_dim']}", f"{facts['mlp']} {facts['mlp_dim']}", places]
    return ", ".join([*told, *registers, *relative, *switches, *without])


def _usually(facts: Facts) -> dict[str, Any]:
    return {
        HEADS: usual_heads(facts["embed_dim"]),
        "activation": "silu" if facts["mlp"] == SWIGLU else "gelu",
    }


def _unexportable(facts: Facts) -> str:
    if not facts["rope"] and not facts["rel_pos"]:
        return ""
    return (
        "the files for other programs have names of timm's ViT, which has no rotary and no relative "
        "positions: write a .pkl"
    )


VIT = Family(
    "vit",
    "vision transformer",
    facts=FACTS,
    stated=STATED,
    shapes=shapes,
    closest=closest,
    label=_label,
    details=_details,
    dialects=(*TIMM_LIKE, *LIBRARIES, *FLAX, *EVA, *HUGGINGFACE),
    export_dialect=TIMM.name,
    colours="patch_embed.proj.weight",
    compared=("patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "blocks.0.norm1.bias"),
    refusals=REFUSALS,
    from_config=from_config,
    usually=_usually,
    signs=signs,
    needs_publisher=True,
    unexportable=_unexportable,
)
