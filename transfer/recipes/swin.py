"""Describes Swin Transformers: keys, facts and their limits."""

from __future__ import annotations

from typing import Any

from transfer.recipes.convnext import FOUR, STAGES
from transfer.recipes.family import Family, by_rule
from transfer.recipes.rules import ABOVE, COUNT, NATURAL, SHARE

SECTION = "MODEL.SWIN"
TINY: dict[str, Any] = {  # Swin-T with windows of 7 (arXiv 2103.14030)
    "embed_dim": 96,
    "depths": [2, 2, 6, 2],
    "num_heads": [3, 6, 12, 24],
    "window": [7, 7, 7, 7],
    "patch_size": 4,
    "absolute_positions": 0,
    "patch_norm": True,
    "final_norm": True,
    "norm_eps": 1e-5,
}

SWIN = Family(
    name="Swin",
    stages=("stage1", "stage2", "stage3", "stage4"),
    facts=by_rule(SECTION, TINY),
    random=TINY,
    section=SECTION,
    numbers={
        **dict.fromkeys(("EMBED_DIM", "PATCH_SIZE"), COUNT),
        **dict.fromkeys(("DEPTHS", "NUM_HEADS", "WINDOW"), FOUR),
        "ABSOLUTE_POSITIONS": NATURAL,
        "NORM_EPS": ABOVE,
        "DROP_PATH": SHARE,
        "OUT_STAGES": STAGES,
    },
    choices={},
    coarsest=32,
    outputs="MODEL.SWIN.OUT_STAGES",
    final_norm=("MODEL.SWIN.NORM_LAST", r"norm\..*"),
)
