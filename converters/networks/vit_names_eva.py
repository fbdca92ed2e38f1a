"""Defines the dialects of EVA-02: its own names, and timm's for it.

Positions are learned, and queries and keys are turned by angles besides. The authors keep the angles in the
file; they are computed anew and compared, for a table that differs would be another network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

import numpy as np

from converters.networks.family import ASIDE, Facts, Shapes, Weights
from converters.networks.vit_closest import HEADS_TOLD
from converters.networks.vit_joints import Joined, halves
from converters.networks.vit_names import BESIDE, PARTS, ViTDialect
from converters.networks.vit_names_words import NO_KEY_BIAS
from converters.networks.vit_shapes import DEEPEST

BASE = 10_000.0
GRID = 16  # the side of the grid whose places are 0, 1, .., 15, whatever the grid of the file
CLOSE = 5e-3  # bfloat16 rounds a cosine by up to 0.004; another grid or base differs by 1
CHECKED = "checked: the rotary angles follow from the grid"
ANGLES = {"freqs_cos": np.cos, "freqs_sin": np.sin}


@dataclass(frozen=True, kw_only=True)
class EvaDialect(ViTDialect):
    """timm's names with other ones for EVA's attention and MLP, and the angles aside."""

    beside: tuple[tuple[str, str], ...] = (*BESIDE, ("rope.*", CHECKED), ("blocks.*.attn.rope.*", CHECKED))

    def vocabulary(self) -> Mapping[str, str]:
        """Foreign name -> ours, intermediate, or aside."""
        owners = ("rope", *(f"blocks.{block}.attn.rope" for block in range(DEEPEST)))
        tables = {f"{owner}.{name}": f"{ASIDE}{owner}.{name}" for owner in owners for name in ANGLES}
        return {**super().vocabulary(), **tables}

    def templates(self) -> Mapping[str, str]:
        """Column -> template, for the page of checkpoints."""
        query = dict(self.in_block).get("attn.q.weight", "attn.qkv.weight")
        return {**super().templates(), "Queries, keys, values": f"blocks.{{i}}.{query}"}

    def likened(self, found: Shapes) -> Shapes:
        """Shapes by the dialect's own names -> by ours; a table of angles is as wide as a head."""
        ours = dict(super().likened(found))
        angles = ours.get(f"{ASIDE}rope.freqs_cos", ())
        width = ours.get("patch_embed.proj.weight", (0,))[0]
        if len(angles) == 2 and angles[1] and width % angles[1] == 0:
            ours[HEADS_TOLD] = (width // angles[1],)
        return ours

    def told(self, found: Shapes) -> Facts:
        """The rotation, which goes with the names."""
        return {"rope": "eva02", "rope_base": BASE}

    def assembled(self, arrays: Weights, facts: Facts) -> dict[str, np.ndarray]:
        """The file's arrays -> ours. ValueError for angles that are not EVA-02's."""
        for name, table in arrays.items():
            if name.startswith(ASIDE) and name.endswith(tuple(ANGLES)):
                _check(name.removeprefix(ASIDE), table)
        return super().assembled(arrays, facts)


def angles(head: int, side: int) -> np.ndarray:
    """EVA-02's angles (side * side, head): half for rows, half for columns, each of them twice."""
    frequencies = BASE ** (-np.arange(0, head // 2, 2) / (head // 2))
    line = np.repeat(np.outer(np.arange(side) * GRID / side, frequencies), 2, axis=1)
    rows, columns = np.repeat(line, side, axis=0), np.tile(line, (side, 1))
    return np.concatenate([rows, columns], axis=1)


def _check(name: str, table: np.ndarray) -> None:
    side = isqrt(table.shape[0]) if table.ndim == 2 else 0
    if side and side * side == table.shape[0] and table.shape[1] % 4 == 0:
        wanted = ANGLES[name.rpartition(".")[2]](angles(table.shape[1], side))
        if np.abs(table - wanted).max() < CLOSE:
            return
    raise ValueError(
        f"{name} {table.shape} holds other rotary angles than EVA-02's (base {BASE:g}, {GRID} places an axis)"
    )


def _words(names: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((ours, theirs) for ours, theirs in names.items())


def _parts(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{part}": f"{theirs}.{part}" for part in PARTS}


_BIASES = Joined("attn.qkv.bias", ("attn.q_bias", "", "attn.v_bias"))
_OWN = {f"attn.{letter}.weight": f"attn.{letter}_proj.weight" for letter in "qkv"}
_OWN |= {f"attn.{letter}.bias": f"attn.{letter}_bias" for letter in "qv"}
_TIMM = {f"attn.{q}.{p}": f"attn.{q}_proj.{p}" for q in "qkv" for p in PARTS if (q, p) != ("k", "bias")}
EVA = (
    EvaDialect(
        name="eva02",
        about="EVA-02 and EVA-02-CLIP of baaivision/EVA",
        in_block=_words(
            _OWN
            | _parts("attn.norm", "attn.inner_attn_ln")
            | _parts("mlp.norm", "mlp.ffn_ln")
            | _parts("mlp.fc1_g", "mlp.w1")
            | _parts("mlp.fc1_x", "mlp.w2")
            | _parts("mlp.fc2", "mlp.w3")
        ),
        joints=NO_KEY_BIAS,
    ),
    EvaDialect(
        name="eva02_packed",
        about="EVA-02's Ti and S of baaivision/EVA: queries, keys and values in one, gate and value in one",
        in_block=_words(_parts("mlp.fc2", "mlp.w3")),
        joints=(_BIASES, *halves("mlp.w12")),
    ),
    EvaDialect(
        name="timm_eva02",
        about="timm's EVA-02",
        in_block=_words(_TIMM),
        joints=NO_KEY_BIAS,
    ),
    EvaDialect(
        name="timm_eva02_packed",
        about="timm's EVA-02 Ti and S",
        in_block=_words(_parts("mlp.fc1_packed", "mlp.fc1")),
        joints=(_BIASES, *halves("mlp.fc1_packed")),
    ),
)
