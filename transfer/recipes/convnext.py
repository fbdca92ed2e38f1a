"""Describes ConvNeXts of either version: keys, facts and their limits."""

from __future__ import annotations

from typing import Any

from transfer.recipes.family import Family, by_rule
from transfer.recipes.rules import ABOVE, COUNT, SHARE, each, whole

SECTION = "MODEL.CONVNEXT"
TINY: dict[str, Any] = {  # ConvNeXt-T (arXiv 2201.03545)
    "depths": [3, 3, 9, 3],
    "dims": [96, 192, 384, 768],
    "layer_scale": True,
    "grn": False,
    "final_norm": True,
    "norm_eps": 1e-6,
}
FOUR = each(COUNT, "four whole numbers above 0", (4,))
STAGES = each(whole(1, 4), "rising numbers of stages from 1 to 4", (1, 2, 3, 4), rising=True)

CONVNEXT = Family(
    name="ConvNeXt",
    stages=("stage1", "stage2", "stage3", "stage4"),
    facts=by_rule(SECTION, TINY),
    random=TINY,
    section=SECTION,
    numbers={
        **dict.fromkeys(("DEPTHS", "DIMS"), FOUR),
        "NORM_EPS": ABOVE,
        "DROP_PATH": SHARE,
        "OUT_STAGES": STAGES,
    },
    choices={},
    coarsest=32,
    outputs="MODEL.CONVNEXT.OUT_STAGES",
    final_norm=("MODEL.CONVNEXT.NORM_LAST", r"norm\..*"),
)
