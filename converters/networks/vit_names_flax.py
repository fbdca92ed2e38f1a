"""Defines the dialects of Google's vision transformers: JAX arrays, kernels input first, heads on an axis.

vision_transformer (AugReg) and big_vision (SigLIP) number the modules of a block differently. big_vision can
train with all blocks in one scan, which leaves each of their tensors once, with a leading axis of blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from converters.networks.family import ASIDE, Dialect, Facts, Shape, Shapes, Weights
from converters.networks.vit_closest import HEADS_TOLD
from converters.networks.vit_joints import assembled, likened, stored
from converters.networks.vit_names_words import SPLIT
from converters.networks.vit_shapes import DEEPEST, HEADS, usual_heads

PARTS = {"weight": "kernel", "bias": "bias"}
QUERIES = tuple(f"attn.{letter}" for letter in "qkv")
STACKED = "stacked."


@dataclass(frozen=True, kw_only=True)
class FlaxDialect(Dialect):
    """Names of the modules of a block, in the order of the code that makes them."""

    modules: tuple[str, str, str, str]  # first norm, attention, second norm, MLP
    positions: str
    stacked: bool = False
    separator: str = "/"
    beside: tuple[tuple[str, str], ...] = (
        ("head/*", "the classifier"),
        ("pre_logits/*", "the classifier"),
        ("MAPHead_0/*", "the pooling head"),
    )

    def vocabulary(self) -> Mapping[str, str]:
        """Foreign name -> ours, each kernel as `.weight` although its axes differ."""
        names = {
            "embedding/kernel": "patch_embed.proj.weight",
            "embedding/bias": "patch_embed.proj.bias",
            "cls": "cls_token",
            self.positions: "pos_embed",
            **_norm("Transformer/encoder_norm", "norm"),
        }
        places = {f"_{i}": f"blocks.{i}." for i in range(DEEPEST)} if not self.stacked else {"": STACKED}
        for place, ours in places.items():
            names |= {
                f"Transformer/encoderblock{place}/{n}": ours + word for n, word in self._block().items()
            }
        return names

    def _block(self) -> dict[str, str]:
        norm1, attention, norm2, mlp = self.modules
        layers = {f"{attention}/{word}": f"attn.{word[0]}" for word in ("query", "key", "value")}
        layers |= {f"{attention}/out": "attn.proj", f"{mlp}/Dense_0": "mlp.fc1", f"{mlp}/Dense_1": "mlp.fc2"}
        return {
            **_norm(norm1, "norm1"),
            **_norm(norm2, "norm2"),
            **{
                f"{name}/{theirs}": f"{ours}.{part}"
                for name, ours in layers.items()
                for part, theirs in PARTS.items()
            },
        }

    def templates(self) -> Mapping[str, str]:
        """Column -> template, for the page of checkpoints."""
        block = "Transformer/encoderblock" + ("" if self.stacked else "_{i}")
        return {
            "Patches": "embedding/kernel",
            "Queries, keys, values": f"{block}/{self.modules[1]}/query/kernel",
            "Layer scale": "-",
            "Final norm": "Transformer/encoder_norm/scale",
        }

    def likened(self, found: Shapes) -> Shapes:
        """Shapes as found -> ours; the axis of heads tells their number."""
        query = found.get(f"{STACKED}attn.q.bias" if self.stacked else "blocks.0.attn.q.bias", ())
        ours = {} if len(query) < 2 else {HEADS_TOLD: query[-2:-1]}
        for name, shape in found.items():
            if not name.startswith(STACKED):
                ours[name] = _turned(name, shape)
            elif shape:
                one = _turned(name, shape[1:])
                ours |= {name.replace(STACKED, f"blocks.{i}."): one for i in range(min(shape[0], DEEPEST))}
        for joint in SPLIT:
            ours = likened(joint, ours)
        return ours

    def stored(self, expected: Shapes, facts: Facts) -> Shapes:
        """Our tensors -> those of the file."""
        names = dict(expected)
        for joint in SPLIT:
            names = stored(joint, names)
        heads = facts.get(HEADS, usual_heads(facts["embed_dim"]))
        theirs = {name: _theirs(name, shape, heads) for name, shape in names.items()}
        if not self.stacked:
            return theirs
        rest = {n: shape for n, shape in theirs.items() if not n.startswith("blocks.")}
        first = {n: shape for n, shape in theirs.items() if n.startswith("blocks.0.")}
        return rest | {n.replace("blocks.0.", STACKED): (facts["depth"], *s) for n, s in first.items()}

    def assembled(self, arrays: Weights, facts: Facts) -> dict[str, np.ndarray]:
        """The file's arrays -> ours, kernels output first, heads joined."""
        apart: dict[str, np.ndarray] = {}
        for name, array in arrays.items():
            if name.startswith(STACKED):
                apart |= {name.replace(STACKED, f"blocks.{i}."): part for i, part in enumerate(array)}
            elif not name.startswith(ASIDE):
                apart[name] = array
        ours = {name: _ours(name, array) for name, array in apart.items()}
        for joint in SPLIT:
            ours = assembled(joint, ours)
        return ours


def _norm(theirs: str, ours: str) -> dict[str, str]:
    return {f"{theirs}/scale": f"{ours}.weight", f"{theirs}/bias": f"{ours}.bias"}


def _kind(name: str) -> str:
    """ "query" (weight: input, heads, head), "out" (heads, head, output), "patches", "dense", or ""."""
    owner, _, part = name.rpartition(".")
    if owner.endswith(QUERIES):
        return "query" if part == "weight" else "query bias"
    if part != "weight" or ".norm" in owner or owner in ("norm", "norm1", "norm2"):
        return ""
    if owner.endswith("attn.proj"):
        return "out"
    return "patches" if owner == "patch_embed.proj" else "dense" if ".mlp." in f".{owner}" else ""


def _turned(name: str, shape: Shape) -> Shape:
    """The shape of `_ours`; one that does not fit is left as it is."""
    match _kind(name), shape:
        case "query", (rows, heads, head):
            return (heads * head, rows)
        case "query bias", (heads, head):
            return (heads * head,)
        case "out", (heads, head, columns):
            return (columns, heads * head)
        case "patches", (height, width, colours, columns):
            return (columns, colours, height, width)
        case "dense", (rows, columns):
            return (columns, rows)
    return shape


def _theirs(name: str, shape: Shape, heads: int) -> Shape:
    match _kind(name), shape:
        case "query", (columns, rows):
            return (rows, heads, columns // heads)
        case "query bias", (columns,):
            return (heads, columns // heads)
        case "out", (columns, rows):
            return (heads, rows // heads, columns)
        case "patches", (columns, colours, height, width):
            return (height, width, colours, columns)
        case "dense", (columns, rows):
            return (rows, columns)
    return shape


def _ours(name: str, array: np.ndarray) -> np.ndarray:
    match _kind(name):
        case "query":
            array = array.reshape(array.shape[0], -1).T
        case "query bias":
            array = array.reshape(-1)
        case "out":
            array = array.reshape(-1, array.shape[-1]).T
        case "patches":
            array = array.transpose(3, 2, 0, 1)
        case "dense":
            array = array.T
    return np.ascontiguousarray(array)


_BIG_VISION = ("LayerNorm_0", "MultiHeadDotProductAttention_0", "LayerNorm_1", "MlpBlock_0")
FLAX = (
    FlaxDialect(
        name="google_vit",
        about="google-research/vision_transformer (ViT, AugReg)",
        modules=("LayerNorm_0", "MultiHeadDotProductAttention_1", "LayerNorm_2", "MlpBlock_3"),
        positions="Transformer/posembed_input/pos_embedding",
    ),
    FlaxDialect(
        name="big_vision",
        about="google-research/big_vision (SigLIP), a module a block",
        modules=_BIG_VISION,
        positions="pos_embedding",
    ),
    FlaxDialect(
        name="big_vision_scan",
        about="big_vision, all blocks in one (SigLIP 2)",
        modules=_BIG_VISION,
        positions="pos_embedding",
        stacked=True,
    ),
)
