"""Lists files of BEiT, whose positions are relative: shared by all blocks, or each block's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.converters.checkpoint_nets import Weights
from tests.converters.publishers.vit_case import GAMMA, HEAD, NET, ViTCase, at, flat, junk
from tests.converters.publishers.vit_nets import filled, plain

NET_OF_BEIT = replace(NET, width=96, heads=3, positions=0, scale=GAMMA)
SIDE, ROWS = 3, 28  # a window of 3 x 3 tokens: 5 x 5 differences and three entries of the class token
TABLE, INDEX = "relative_position_bias_table", "relative_position_index"
HALF = {"pixel_mean": [127.5] * 3, "num_heads": 3, "rel_pos_grid": SIDE, "qkv_bias": True, "pos_tokens": 0}


def beit_index(side: int) -> np.ndarray:
    """The index as loops over queries and keys give it."""
    places = [(row, column) for row in range(side) for column in range(side)]
    span = 2 * side - 1
    index = np.zeros((len(places) + 1,) * 2, np.int64)
    for q, (row, column) in enumerate(places):
        for k, (other, beside) in enumerate(places):
            index[q + 1, k + 1] = (row - other + side - 1) * span + column - beside + side - 1
    index[0, 1:], index[1:, 0], index[0, 0] = span**2, span**2 + 1, span**2 + 2
    return index


def _beit(seed: int) -> tuple[Weights, Weights]:
    """(by BEiT's names, by ours), without the tables."""
    theirs, ours = filled(plain(NET_OF_BEIT), seed), {}
    third = NET_OF_BEIT.width
    for name, array in list(theirs.items()):
        if name.endswith("qkv.bias"):
            block = name.removesuffix("qkv.bias")
            array = np.concatenate([array[:third], np.zeros(third, "f4"), array[2 * third :]])
            theirs |= {f"{block}q_bias": array[:third], f"{block}v_bias": array[2 * third :]}
            del theirs[name]
        ours[name.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")] = array
    return theirs, ours


def _relative() -> tuple[ViTCase, ...]:
    theirs, ours = _beit(11)
    table, index = filled({"t": (ROWS, 3)}, 12)["t"], beit_index(SIDE)
    shared = {f"rel_pos_bias.{TABLE}": table}
    extra = junk("mask_token", shape=(1, 1, 96)) | junk("lm_head.weight") | {f"rel_pos_bias.{INDEX}": index}
    second = extra | junk("cls_pt_layers.0.norm1.weight", shape=(96,))
    blocks = range(NET_OF_BEIT.depth)
    own = {f"blocks.{n}.attn.{TABLE}": filled({"t": (ROWS, 3)}, 20 + n)["t"] for n in blocks}
    indices = {f"blocks.{n}.attn.{INDEX}": index for n in blocks}
    norm = {name: theirs[name] for name in ("norm.weight", "norm.bias")}
    tuned = {name: array for name, array in theirs.items() if name not in norm} | own
    pooled = {f"fc_{name}": array for name, array in norm.items()}
    without = {name: array for name, array in ours.items() if name not in norm} | own
    of_block = HALF | {"rel_pos": "per_block", "final_norm": False}
    imagenet = {"pixel_mean": [123.675, 116.28, 103.53], "rel_pos": "shared"}
    return (
        ViTCase(
            "beit",
            "beit",
            theirs | shared | extra,
            ours | shared,
            at("model"),
            facts=HALF | {"rel_pos": "shared"},
        ),
        ViTCase(
            "beit-fine-tuned", "beit", tuned | pooled | indices | HEAD, without, at("model"), facts=of_block
        ),
        ViTCase("beit-timm", "beit", tuned | pooled | HEAD, without, flat, facts=of_block),
        ViTCase("beit_v2", "beit_v2", theirs | shared | second, ours | shared, at("model"), facts=imagenet),
    )


RELATIVE_CASES = _relative()
