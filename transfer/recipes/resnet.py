"""Describes the first family of backbones, ResNets: keys, facts and block counts."""

from __future__ import annotations

from transfer.recipes.family import Family
from transfer.recipes.norms import NORMS
from transfer.recipes.rules import COUNT, whole

# Depth -> blocks of res2..res5 (He et al., arXiv 1512.03385, table 1); a basic one is two 3x3 convolutions.
BASIC = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BLOCKS = BASIC | {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

RESNET = Family(
    name="ResNet",
    stages=("res2", "res3", "res4", "res5"),
    facts={
        "depth": "MODEL.RESNETS.DEPTH",
        "groups": "MODEL.RESNETS.NUM_GROUPS",
        "width_per_group": "MODEL.RESNETS.WIDTH_PER_GROUP",
        "stem_out_channels": "MODEL.RESNETS.STEM_OUT_CHANNELS",
        "res2_out_channels": "MODEL.RESNETS.RES2_OUT_CHANNELS",
        "stride_in_1x1": "MODEL.RESNETS.STRIDE_IN_1X1",
    },
    # The stride placement of the random-initialised row is not published; torchvision's is used.
    random={
        "depth": 50,
        "groups": 1,
        "width_per_group": 64,
        "stem_out_channels": 64,
        "res2_out_channels": 256,
        "stride_in_1x1": False,
    },
    section="MODEL.RESNETS",
    numbers={
        **dict.fromkeys(("NUM_GROUPS", "WIDTH_PER_GROUP", "STEM_OUT_CHANNELS", "RES2_OUT_CHANNELS"), COUNT),
        "RES5_DILATION": whole(1, 2),
    },
    choices={"MODEL.RESNETS.DEPTH": tuple(BLOCKS), "MODEL.RESNETS.NORM": NORMS},
    outputs="MODEL.RESNETS.OUT_FEATURES",
    dilation="MODEL.RESNETS.RES5_DILATION",
    norm="MODEL.RESNETS.NORM",
)
