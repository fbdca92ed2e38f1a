"""Defines the dialect of BEiT (arXiv 2106.08254), with relative positions and the index into their table."""

from __future__ import annotations

import numpy as np

from converters.networks.family import ASIDE, Facts, Shapes, Weights
from converters.networks.vit_joints import Joined
from converters.networks.vit_names import ViTDialect
from converters.networks.vit_shapes import SHARED, TABLE

GAMMAS = (("ls1.gamma", "gamma_1"), ("ls2.gamma", "gamma_2"))
INDEX = "relative_position_index"
KEYS_UNBIASED = (Joined("attn.qkv.bias", ("attn.q_bias", "", "attn.v_bias")),)


class BEiTDialect(ViTDialect):
    """Positions are relative, or the file is not BEiT's: EVA's has the same biases beside other things."""

    def stored(self, expected: Shapes, facts: Facts) -> Shapes:
        """The tensors of the file; a table must be among them."""
        names = dict(super().stored(expected, facts))
        if not facts["rel_pos"]:
            names[f"rel_pos_bias.{TABLE}"] = (0, 0)
        return names

    def assembled(self, arrays: Weights, facts: Facts) -> dict[str, np.ndarray]:
        """Ours; an index in the file must be the one that the table is made for."""
        index = relative_index(facts["rel_pos_grid"])
        for name, array in arrays.items():
            if name.startswith(ASIDE) and name.endswith("index") and not np.array_equal(array, index):
                place = "the network" if facts["rel_pos"] == SHARED else name
                raise ValueError(
                    f"{INDEX} of {place} is not that of a window of {facts['rel_pos_grid']} x "
                    f"{facts['rel_pos_grid']} tokens: relative positions of another kind"
                )
        return super().assembled(arrays, facts)


def relative_index(side: int) -> np.ndarray:
    """(tokens + 1, tokens + 1) rows of the table for a query and a key, the class token first.

    The last three rows are for class token to patch, patch to class token, and class token to itself.
    """
    rows, columns = np.divmod(np.arange(side * side), side)
    span = 2 * side - 1
    down = rows[:, None] - rows[None] + side - 1
    right = columns[:, None] - columns[None] + side - 1
    index = np.full((side * side + 1,) * 2, span**2, np.int64)
    index[1:, 1:] = down * span + right
    index[1:, 0], index[0, 0] = span**2 + 1, span**2 + 2
    return index
