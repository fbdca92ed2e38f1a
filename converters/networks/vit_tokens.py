"""Defines dialects of vision transformers whose tokens have more or fewer positions than ours."""

from __future__ import annotations

import numpy as np

from converters.networks.family import Facts, Shapes, Weights
from converters.networks.vit_names import ViTDialect

POSITIONS, REGISTERS, PLACED = "pos_embed", "register_tokens", "placed_tokens"


class PlacedDialect(ViTDialect):
    """Further tokens stand between class token and patches and have positions of their own.

    A token and its position are always added, so their sum is a register, which has none: the same function.
    """

    def likened(self, found: Shapes) -> Shapes:
        """The tokens as registers, and the table without their rows."""
        shapes = dict(super().likened(found))
        tokens, table = shapes.pop(PLACED, ()), shapes.get(POSITIONS, ())
        if len(tokens) == 3 and len(table) == 3 and table[1] > tokens[1]:
            shapes |= {REGISTERS: tokens, POSITIONS: (1, table[1] - tokens[1], table[2])}
        return shapes

    def stored(self, expected: Shapes, facts: Facts) -> Shapes:
        """Our registers and positions, as the file has them."""
        names = dict(super().stored(expected, facts))
        count = max(1, facts["registers"])
        names[PLACED] = (1, count, facts["embed_dim"])
        names[POSITIONS] = (1, facts["pos_tokens"] + count, facts["embed_dim"])
        return {name: shape for name, shape in names.items() if name != REGISTERS}

    def assembled(self, arrays: Weights, facts: Facts) -> dict[str, np.ndarray]:
        """Each token with its position, and the table without their rows."""
        ours = super().assembled(arrays, facts)
        tokens, table = ours.pop(PLACED), ours[POSITIONS]
        start, stop = facts["pos_prefix"], facts["pos_prefix"] + facts["registers"]
        ours[REGISTERS] = tokens + table[:, start:stop]
        ours[POSITIONS] = np.concatenate([table[:, :start], table[:, stop:]], axis=1)
        return ours


class UnplacedDialect(ViTDialect):
    """The class token has no position: with one, networks with hidden rotary positions have such names."""

    def stored(self, expected: Shapes, facts: Facts) -> Shapes:
        """A table of patches alone, and the class token."""
        names = dict(super().stored(expected, facts))
        names[POSITIONS] = (1, max(1, facts["pos_tokens"] - facts["pos_prefix"]), facts["embed_dim"])
        names["cls_token"] = (1, 1, facts["embed_dim"])
        return names
