"""Lists the tensors of a vision transformer by timm's names, and tells which one has given shapes.

Dosovitskiy et al., arXiv 2010.11929, with what came after: registers, layer scale, gated MLPs, norms in the
attention and in the MLP, BEiT's relative positions. Detectron2's ViT has the same names where it has them.
"""

from __future__ import annotations

from functools import lru_cache
from math import isqrt
from types import MappingProxyType
from typing import Any

from converters.networks.family import Fact, Facts, Shape, Shapes

DEEPEST = 64  # blocks; the deepest published one has 64
MLP, SWIGLU = "mlp", "swiglu"
SHARED, PER_BLOCK = "shared", "per_block"
TABLE = "relative_position_bias_table"
# The numbers and switches that fix every shape; usual is ViT-B/16.
FACTS = (
    Fact("embed_dim", int, 768, "width"),
    Fact("depth", int, 12, "depth"),
    Fact("mlp_dim", int, 3072, "MLP width"),
    Fact("patch_size", int, 16, "patch size"),
    Fact("pos_tokens", int, 197, "positions"),  # rows of pos_embed, 0 if it has none
    Fact("pos_prefix", int, 1, "positions of the class token"),  # 0 or 1; the others are a square grid
    Fact("class_token", bool, True, "class token"),
    Fact("registers", int, 0, "registers"),
    Fact("pre_norm", bool, False, "norm before the blocks"),
    Fact("final_norm", bool, True, "final norm"),
    Fact("layer_scale", bool, False, "layer scale"),
    Fact("mlp", str, MLP, "MLP"),
    Fact("mlp_norm", bool, False, "norm in the MLP"),
    Fact("attn_norm", bool, False, "norm in the attention"),
    Fact("qk_norm", bool, False, "norms of queries and keys"),
    Fact("qkv_bias", bool, True, "bias of queries and values"),
    Fact("rel_pos", str, "", "relative positions"),  # "", "shared" or "per_block"
    Fact("rel_pos_grid", int, 0, "window of the relative positions"),  # its side in tokens
)
HEADS = "num_heads"  # a stated fact, but tables and norms of queries have it in their shapes
# Width -> heads, where one is not 64 wide: SigLIP's So400m, MAE's H, arXiv 2106.04560's g and G, DINOv3's 7B.
WIDE_HEADS = {1280: 16, 1152: 16, 1408: 16, 1664: 16, 4096: 32}


def usual_heads(width: int) -> int:
    """The heads that the field gives to a width: of 64 channels, but for a few."""
    heads = WIDE_HEADS.get(width, max(1, width // 64))
    return next(number for number in range(heads, 0, -1) if width % number == 0)


def shapes(facts: Facts) -> Shapes:
    """Every tensor with its shape, in network order; 150 of ViT-B/16. Shared between calls and read-only.

    Takes a manifest or any table with FACTS, and `num_heads` where shapes depend on it (usual if it is not
    there). ValueError for facts of no such network.
    """
    heads = facts.get(HEADS, usual_heads(max(1, facts["embed_dim"])))
    return _shapes(heads, *(facts[fact.key] for fact in FACTS))


@lru_cache(maxsize=64)  # a hostile file can ask for many
def _shapes(heads: int, *values: Any) -> Shapes:
    facts: Facts = dict(zip((fact.key for fact in FACTS), values, strict=True))
    _check(facts, heads)
    width = facts["embed_dim"]
    found: dict[str, Shape] = {}
    if facts["class_token"]:
        found["cls_token"] = (1, 1, width)
    if facts["registers"]:
        found["register_tokens"] = (1, facts["registers"], width)
    if facts["pos_tokens"]:
        found["pos_embed"] = (1, facts["pos_tokens"], width)
    patch = facts["patch_size"]
    found |= {"patch_embed.proj.weight": (width, 3, patch, patch), "patch_embed.proj.bias": (width,)}
    if facts["pre_norm"]:
        found |= _norm("norm_pre", width)
    if facts["rel_pos"] == SHARED:
        found[f"rel_pos_bias.{TABLE}"] = _table(facts, heads)
    for block in range(facts["depth"]):
        found |= {f"blocks.{block}.{name}": shape for name, shape in _block(facts, heads).items()}
    if facts["final_norm"]:
        found |= _norm("norm", width)
    return MappingProxyType(found)


def _block(facts: Facts, heads: int) -> dict[str, Shape]:
    width, hidden = facts["embed_dim"], facts["mlp_dim"]
    found = _norm("norm1", width)
    found["attn.qkv.weight"] = (3 * width, width)
    if facts["qkv_bias"]:
        found["attn.qkv.bias"] = (3 * width,)
    if facts["qk_norm"]:
        found |= _norm("attn.q_norm", width // heads) | _norm("attn.k_norm", width // heads)
    if facts["rel_pos"] == PER_BLOCK:
        found[f"attn.{TABLE}"] = _table(facts, heads)
    if facts["attn_norm"]:
        found |= _norm("attn.norm", width)
    found |= _linear("attn.proj", width, width)
    if facts["layer_scale"]:
        found["ls1.gamma"] = (width,)
    found |= _norm("norm2", width)
    for name in ("fc1",) if facts["mlp"] == MLP else ("fc1_g", "fc1_x"):
        found |= _linear(f"mlp.{name}", hidden, width)
    if facts["mlp_norm"]:
        found |= _norm("mlp.norm", hidden)
    found |= _linear("mlp.fc2", width, hidden)
    if facts["layer_scale"]:
        found["ls2.gamma"] = (width,)
    return found


def _norm(name: str, width: int) -> dict[str, Shape]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name: str, rows: int, columns: int) -> dict[str, Shape]:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _table(facts: Facts, heads: int) -> Shape:
    """Differences of places in the window, and three entries for the class token (BEiT)."""
    return ((2 * facts["rel_pos_grid"] - 1) ** 2 + 3, heads)


def _check(facts: Facts, heads: int) -> None:
    for key in ("embed_dim", "mlp_dim", "patch_size"):
        if facts[key] < 1:
            raise ValueError(f"{key} {facts[key]}; expected 1 or more")
    if not 1 <= facts["depth"] <= DEEPEST:
        raise ValueError(f"depth {facts['depth']}; expected 1 to {DEEPEST} blocks")
    if heads < 1 or facts["embed_dim"] % heads:
        raise ValueError(f"{HEADS} {heads} does not divide embed_dim {facts['embed_dim']}")
    if facts["registers"] < 0:
        raise ValueError(f"registers {facts['registers']}; expected 0 or more")
    if facts["mlp"] not in (MLP, SWIGLU) or facts["rel_pos"] not in ("", SHARED, PER_BLOCK):
        raise ValueError(f"mlp {facts['mlp']!r} or rel_pos {facts['rel_pos']!r} is not known")
    if bool(facts["rel_pos"]) != (facts["rel_pos_grid"] > 0):
        raise ValueError(f"rel_pos {facts['rel_pos']!r} with a window of {facts['rel_pos_grid']} tokens")
    tokens, prefix = facts["pos_tokens"], facts["pos_prefix"]
    if prefix not in (0, 1) or (prefix and not (tokens and facts["class_token"])):
        raise ValueError(f"pos_prefix {prefix}; expected 0, or 1 where a class token has a position")
    if tokens and not is_square(tokens - prefix):
        raise ValueError(f"pos_tokens {tokens} with pos_prefix {prefix}: the rest is no square grid")


def is_square(number: int) -> bool:
    """Whether so many tokens are a square grid."""
    return number > 0 and isqrt(number) ** 2 == number
