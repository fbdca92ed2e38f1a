"""Checks the numbers of a recipe: one rule a key, and every key that holds numbers has one.

A learning rate of infinity, steps that run backwards or anchors of no size are no recipe. They are refused
where the recipe is read, before anything is planned, generated or trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transfer.errors import TransferError
from transfer.recipes.architectures import FAMILIES
from transfer.recipes.rules import (
    ABOVE,
    ANY,
    COUNT,
    GROUPS,
    MOMENTUM,
    NATURAL,
    PART,
    SHARE,
    SIZES,
    STEPS,
    WEIGHT,
    Rule,
    each,
    whole,
)

_POOLER = {"POOLER_RESOLUTION": COUNT, "POOLER_SAMPLING_RATIO": NATURAL}
_TREE: dict[str, dict[str, Rule]] = {
    "MODEL": {
        "PIXEL_MEAN": each(ANY, "three finite numbers", (3,)),
        "PIXEL_STD": each(ABOVE, "three numbers above 0", (3,)),
    },
    "MODEL.BACKBONE": {"FREEZE_AT": whole(0, 5)},
    **{family.section: dict(family.numbers) for family in FAMILIES},
    "MODEL.C5_CONV": {"OUT_CHANNELS": COUNT},
    "MODEL.FPN": {"OUT_CHANNELS": COUNT},
    "MODEL.SIMPLE_PYRAMID": {"OUT_CHANNELS": COUNT, "SQUARE_PAD": NATURAL},
    "MODEL.TAP_PYRAMID": {"SQUARE_PAD": NATURAL},
    "MODEL.ANCHOR_GENERATOR": {"SIZES": GROUPS, "ASPECT_RATIOS": GROUPS},
    "MODEL.RPN": {
        "IOU_THRESHOLDS": each(SHARE, "two rising numbers from 0 to 1", (2,), rising=True),
        "BATCH_SIZE_PER_IMAGE": COUNT,
        "POSITIVE_FRACTION": PART,
        "SMOOTH_L1_BETA": WEIGHT,
        **dict.fromkeys((f"{w}_NMS_TOPK_{s}" for w in ("PRE", "POST") for s in ("TRAIN", "TEST")), COUNT),
        "NMS_THRESH": PART,
    },
    "MODEL.ROI_HEADS": {
        "NUM_CLASSES": COUNT,
        "IOU_THRESHOLDS": each(SHARE, "a list of one number from 0 to 1", (1,)),
        "BATCH_SIZE_PER_IMAGE": COUNT,
        "POSITIVE_FRACTION": PART,
        "SCORE_THRESH_TEST": SHARE,
        "NMS_THRESH_TEST": PART,
    },
    "MODEL.ROI_BOX_HEAD": {
        **dict.fromkeys(("NUM_CONV", "NUM_FC"), NATURAL),
        **dict.fromkeys(("CONV_DIM", "FC_DIM"), COUNT),
        "BBOX_REG_WEIGHTS": each(ABOVE, "four numbers above 0", (4,)),
        "SMOOTH_L1_BETA": WEIGHT,
        "FED_LOSS_NUM_CLASSES": COUNT,
        "FED_LOSS_FREQ_WEIGHT_POWER": WEIGHT,
        **_POOLER,
    },
    "MODEL.ROI_BOX_CASCADE_HEAD": {
        "BBOX_REG_WEIGHTS": each(each(ABOVE, "", (4,)), "lists of four numbers above 0, one a stage"),
        "IOUS": each(SHARE, "a list of numbers from 0 to 1, one a stage"),
    },
    "MODEL.ROI_MASK_HEAD": {"NUM_CONV": NATURAL, "CONV_DIM": COUNT, **_POOLER},
    "MODEL.ROI_KEYPOINT_HEAD": {
        "CONV_DIMS": SIZES,
        "NUM_KEYPOINTS": COUNT,
        "MIN_KEYPOINTS_PER_IMAGE": NATURAL,
        "LOSS_WEIGHT": WEIGHT,
        **_POOLER,
    },
    "MODEL.ROI_DENSEPOSE_HEAD": {
        **dict.fromkeys(("NUM_STACKED_CONVS", "DECONV_KERNEL", "UP_SCALE", "HEATMAP_SIZE"), COUNT),
        **dict.fromkeys(("CONV_HEAD_DIM", "NUM_PATCHES", "NUM_COARSE_SEGM_CHANNELS"), COUNT),
        "CONV_HEAD_KERNEL": Rule(lambda v: COUNT.holds(v) and v % 2 == 1, "an odd whole number above 0"),
        "FG_IOU_THRESHOLD": SHARE,
        **dict.fromkeys(("INDEX_WEIGHTS", "PART_WEIGHTS", "POINT_REGRESSION_WEIGHTS"), WEIGHT),
        **_POOLER,
    },
    "MODEL.SEM_SEG_HEAD": {
        "IGNORE_VALUE": whole(0, 255),
        **dict.fromkeys(("NUM_CLASSES", "CONVS_DIM", "DILATION"), COUNT),
        "NUM_CONVS": NATURAL,
        "DROPOUT": MOMENTUM,
        "LOSS_WEIGHT": WEIGHT,
    },
    "MODEL.UPERNET": {"POOL_SCALES": SIZES, "AUX_CONVS_DIM": COUNT, "AUX_LOSS_WEIGHT": ABOVE},
    "INPUT": {
        "MIN_SIZE_TRAIN": SIZES,
        "MIN_SIZE_TEST": NATURAL,  # 0: the original size
        "MAX_SIZE_TRAIN": COUNT,
        "MAX_SIZE_TEST": COUNT,
        "SCALE_RANGE": each(ABOVE, "nothing, or [low, high] ratios above 0", (0, 2)),
        "SIZES_FOR_PATCH": whole(0, 1024),
    },
    "INPUT.CROP": {
        "SIZE": each(ABOVE, "[height, width] above 0", (2,)),
        "SINGLE_CATEGORY_MAX_AREA": PART,
        "MIN_SIZE_BEFORE": each(COUNT, "a list of whole numbers above 0", least=0),
    },
    "FEATURES": {"RESIZE": NATURAL, "CROP": COUNT, "BATCH_SIZE": COUNT},
    "PROBE": {
        "NEIGHBOURS": each(COUNT, "a list of whole numbers above 0, the first of which counts"),
        "TEMPERATURE": Rule(
            lambda v: ABOVE.holds(v) and v >= 0.0125, "0.0125 or more: below, a vote leaves float32"
        ),
        "GRID": each(ABOVE, "two rising numbers above 0", (2,), rising=True),
        **dict.fromkeys(("GRID_SIZE", "PATCHES"), COUNT),
        "EPISODES": whole(2),  # of one there is no interval
        "SHOTS": SIZES,
        "DRAWS": whole(2, 1000),  # of one there is no deviation
        **dict.fromkeys(("SEED", "SIDE"), NATURAL),
        "SCALES": each(PART, "a list of numbers above 0, up to 1"),
    },
    "PROBE.LINEAR": {
        **dict.fromkeys(("EPOCHS", "BATCH_SIZE"), COUNT),
        "RATES": each(ABOVE, "a list of different numbers above 0"),
        "MOMENTUM": MOMENTUM,
        "WEIGHT_DECAY": WEIGHT,
        "AREA": each(PART, "two rising shares of an image", (2,), rising=True),
    },
    "DATALOADER": {"NUM_WORKERS": whole(0, 1024), "REPEAT_THRESHOLD": SHARE},
    "SOLVER": {
        **dict.fromkeys(("IMS_PER_BATCH", "MAX_ITER", "CHECKPOINT_PERIOD"), COUNT),
        **dict.fromkeys(("BASE_LR", "GAMMA"), ABOVE),
        "BETAS": each(MOMENTUM, "two numbers from 0, below 1", (2,)),
        **dict.fromkeys(("BASE_LR_END", "POLY_LR_POWER"), WEIGHT),
        "REFERENCE_WORLD_SIZE": NATURAL,
        "MOMENTUM": MOMENTUM,
        "LAYER_DECAY": PART,
        **dict.fromkeys(("WEIGHT_DECAY", "WEIGHT_DECAY_NORM"), WEIGHT),
        "STEPS": STEPS,
        "WARMUP_FACTOR": SHARE,
        "WARMUP_ITERS": NATURAL,
    },
    "SOLVER.CLIP_GRADIENTS": {"CLIP_VALUE": ABOVE, "NORM_TYPE": ABOVE},
    "TEST": {"DETECTIONS_PER_IMAGE": COUNT},
    "TEST.SLIDING_WINDOW": dict.fromkeys(("SIZE", "STRIDE"), each(COUNT, "[height, width] in pixels", (2,))),
    "TEST.PRECISE_BN": {"NUM_ITER": COUNT},
}
RULES = {f"{section}.{key}": rule for section, rules in _TREE.items() for key, rule in rules.items()}


def check_numbers(flat: Mapping[str, Any], where: Callable[[str], str]) -> None:
    """Refuses the first number that breaks its rule; `where(key)` says who set it."""
    for key, rule in RULES.items():
        if not rule.holds(flat[key]):
            raise TransferError(f"{where(key)}: {key} is {flat[key]!r:.100}; expected {rule.expected}")
    sizes, ratios = (flat[f"MODEL.ANCHOR_GENERATOR.{key}"] for key in ("SIZES", "ASPECT_RATIOS"))
    levels = len(flat["MODEL.RPN.IN_FEATURES"])
    for key, groups in (("SIZES", sizes), ("ASPECT_RATIOS", ratios)):
        if len(groups) not in (1, levels) or len({len(group) for group in groups}) > 1:
            name, lengths = f"MODEL.ANCHOR_GENERATOR.{key}", ", ".join(str(len(group)) for group in groups)
            raise TransferError(
                f"{where(name)}: {name} has lists of {lengths}; expected "
                f"one list, or {levels} of equal length, one a level of MODEL.RPN.IN_FEATURES"
            )
