"""Describes the first family of backbones, ResNets: keys, facts and their limits."""

from __future__ import annotations

from converters.models.resnet_depths import BLOCKS
from transfer.recipes.family import Family
from transfer.recipes.norms import NORMS
from transfer.recipes.rules import COUNT, whole

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
        "stem": "MODEL.RESNETS.STEM",
        "avg_down": "MODEL.RESNETS.AVG_DOWN",
    },
    later=("stem", "avg_down"),
    # The stride placement of the random-initialised row is not published; torchvision's is used.
    random={
        "depth": 50,
        "groups": 1,
        "width_per_group": 64,
        "stem_out_channels": 64,
        "res2_out_channels": 256,
        "stride_in_1x1": False,
        "stem": "7x7",
        "avg_down": False,
    },
    section="MODEL.RESNETS",
    numbers={
        **dict.fromkeys(("NUM_GROUPS", "WIDTH_PER_GROUP", "STEM_OUT_CHANNELS", "RES2_OUT_CHANNELS"), COUNT),
        "RES5_DILATION": whole(1, 2),
    },
    choices={
        "MODEL.RESNETS.DEPTH": tuple(BLOCKS),
        "MODEL.RESNETS.NORM": NORMS,
        "MODEL.RESNETS.STEM": ("7x7", "deep"),
    },
    outputs="MODEL.RESNETS.OUT_FEATURES",
    dilation="MODEL.RESNETS.RES5_DILATION",
    norm="MODEL.RESNETS.NORM",
)
