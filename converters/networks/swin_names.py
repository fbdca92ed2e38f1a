"""Lists how each publisher's code names the tensors of a Swin transformer: one row of templates per dialect.

i n   stage 0..3 and 1..4       d u   twice i, twice i and one: places in torchvision's list of features
b     block in the stage
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce

import numpy as np

from converters.networks import vit_joints as joints
from converters.networks.family import ASIDE, Dialect, Facts, Shapes, Weights
from converters.networks.stages import BESIDE, DEEPEST, MODULE
from converters.networks.vit_joints import Joined

LAYERS = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
PARTS = ("attn.query", "attn.key", "attn.value")
JOINTS = tuple(Joined(f"attn.qkv.{p}", tuple(f"{part}.{p}" for part in PARTS)) for p in MODULE)
TABLE = "attn.relative_position_bias_table"
INDEX = "attn.relative_position_index"


@dataclass(frozen=True, kw_only=True)
class SwinDialect(Dialect):
    """Templates of the tensors, and how their shapes and order differ from Microsoft's."""

    beside: tuple[tuple[str, str], ...] = BESIDE
    patches: tuple[str, str] = ("patch_embed.proj", "patch_embed.norm")
    positions: str = "absolute_pos_embed"
    block: str = "layers.{i}.blocks.{b}."
    layers: tuple[str, ...] = LAYERS
    parts: tuple[str, ...] = ()  # query, key and value
    table: str = TABLE
    index: str = INDEX
    down: str = "layers.{i}.downsample."  # behind the blocks of stage i
    final: str = "norm"
    unfolded: bool = False  # a downsampling's inputs are sorted by channel, then by row and column

    def vocabulary(self) -> Mapping[str, str]:
        """Foreign name -> our name, for the deepest network."""
        return _vocabulary(self)

    def templates(self) -> Mapping[str, str]:
        """Column -> template, for the page of checkpoints."""
        return {
            "Patches": ", ".join(self.patches),
            "Block": self.block
            + "{"
            + ", ".join(filter(None, (*self.layers, *self.parts, self.table)))
            + "}",
            "Downsampling": self.down + "{norm, reduction}",
            "Final norm": self.final,
        }

    def likened(self, found: Shapes) -> Shapes:
        """Shapes by the dialect's own names -> by ours."""
        return reduce(lambda names, joint: joints.likened(joint, names), self._joints(), dict(found))

    def stored(self, expected: Shapes, facts: Facts) -> Shapes:
        """Our tensors -> those of the file."""
        return reduce(lambda names, joint: joints.stored(joint, names), self._joints(), dict(expected))

    def assembled(self, arrays: Weights, facts: Facts) -> dict[str, np.ndarray]:
        """The file's arrays -> ours. ValueError for an index that is not the one that attention computes."""
        for name, array in arrays.items():
            if name.endswith(INDEX) and not np.array_equal(array.reshape(-1), window_index(array.size)):
                raise ValueError(f"{name.removeprefix(ASIDE)} is not that of a window: other attention")
        ours = {name: array for name, array in arrays.items() if not name.startswith(ASIDE)}
        if self.unfolded:
            ours = {name: by_columns(a) if ".downsample." in name else a for name, a in ours.items()}
        return reduce(lambda names, joint: joints.assembled(joint, names), self._joints(), ours)

    def _joints(self) -> tuple[Joined, ...]:
        return JOINTS if self.parts else ()


def window_index(pairs: int) -> np.ndarray:
    """The table's row for each pair of a window's positions, (window^4,) of int64; of `pairs` in all.

    Row (dy + window - 1) * (2 * window - 1) + dx + window - 1 is for a query (dy, dx) behind its key.
    """
    window = round(pairs**0.25)
    y, x = (axis.reshape(-1) for axis in np.indices((window, window)))
    down, right = (axis[:, None] - axis + window - 1 for axis in (y, x))
    return (down * (2 * window - 1) + right).reshape(-1)


def by_columns(array: np.ndarray) -> np.ndarray:
    """Inputs (..., 4 C) in nn.Unfold's order, (channel, row, column), in Swin's: (column, row, channel)."""
    sorted_by_channel = array.reshape(*array.shape[:-1], -1, 2, 2)
    return np.moveaxis(sorted_by_channel, (-1, -2, -3), (-3, -2, -1)).reshape(array.shape)


DIALECTS: tuple[SwinDialect, ...] = (
    SwinDialect("swin", "Microsoft's Swin, iBOT's and Detectron2's"),
    SwinDialect(
        "swin_timm",
        "timm, where a stage begins with the downsampling before it",
        down="layers.{n}.downsample.",
    ),
    SwinDialect(
        "swin_torchvision",
        "torchvision.models.swin_transformer",
        patches=("features.0.0", "features.0.2"),
        positions="",
        block="features.{u}.{b}.",
        layers=("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.0", "mlp.3"),
        down="features.{v}.",
    ),
    SwinDialect(
        "swin_huggingface",
        "transformers' Swin",
        patches=("embeddings.patch_embeddings.projection", "embeddings.norm"),
        positions="embeddings.position_embeddings",
        block="encoder.layers.{i}.blocks.{b}.",
        layers=(
            "layernorm_before",
            "",
            "attention.output.dense",
            "layernorm_after",
            "intermediate.dense",
            "output.dense",
        ),
        parts=("attention.self.query", "attention.self.key", "attention.self.value"),
        table="attention.self.relative_position_bias_table",
        index="attention.self.relative_position_index",
        down="encoder.layers.{i}.downsample.",
        final="layernorm",
    ),
    SwinDialect(
        "swin_huggingface_5",
        "a living model of transformers 5",
        patches=("embeddings.patch_embeddings.projection", "embeddings.norm"),
        positions="embeddings.position_embeddings",
        block="encoder.layers.{i}.blocks.{b}.",
        layers=("layernorm_before", "", "attention.o_proj", "layernorm_after", "mlp.fc1", "mlp.fc2"),
        parts=("attention.q_proj", "attention.k_proj", "attention.v_proj"),
        table="attention.relative_position_bias.relative_position_bias_table",
        index="attention.relative_position_bias.relative_position_index",
        down="encoder.layers.{i}.downsample.",
        final="layernorm",
    ),
    SwinDialect(
        "swin_mmpretrain",
        "OpenMMLab's Swin",
        patches=("patch_embed.projection", "patch_embed.norm"),
        block="stages.{i}.blocks.{b}.",
        layers=("norm1", "attn.w_msa.qkv", "attn.w_msa.proj", "norm2", "ffn.layers.0.0", "ffn.layers.1"),
        table="attn.w_msa.relative_position_bias_table",
        index="attn.w_msa.relative_position_index",
        down="stages.{i}.downsample.",
        final="norm3",
        unfolded=True,
    ),
)


@cache
def _vocabulary(dialect: SwinDialect) -> Mapping[str, str]:
    found: dict[str, str] = {}

    def add(theirs: str, ours: str, parts: tuple[str, ...] = MODULE) -> None:
        found.update({f"{theirs}.{part}": f"{ours}.{part}" for part in parts})

    for theirs, ours in zip(dialect.patches, SwinDialect.patches, strict=True):
        add(theirs, ours)
    if dialect.positions:
        found[dialect.positions] = SwinDialect.positions
    for stage, deepest in enumerate(DEEPEST):
        place = {"i": stage, "n": stage + 1, "u": 2 * stage + 1, "v": 2 * stage + 2}
        for block in range(deepest):
            here, ours = dialect.block.format(b=block, **place), f"layers.{stage}.blocks.{block}."
            found |= {here + dialect.table: ours + TABLE, here + dialect.index: ASIDE + ours + INDEX}
            for layer, known in zip(dialect.layers, LAYERS, strict=True):
                if layer:
                    add(here + layer, ours + known)
            for part, known in zip(dialect.parts, PARTS, strict=False):
                add(here + part, ours + known)
        if stage < 3:
            down = dialect.down.format(**place)
            add(f"{down}norm", f"layers.{stage}.downsample.norm")
            add(f"{down}reduction", f"layers.{stage}.downsample.reduction", MODULE[:1])
    add(dialect.final, "norm")
    return found
