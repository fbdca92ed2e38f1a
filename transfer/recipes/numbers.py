"""What the numbers of a recipe may be: one rule a key, and every key that holds numbers has one.

A learning rate of infinity, steps that run backwards or anchors of no size are no recipe. They are refused
where the recipe is read, before anything is planned, generated or trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from transfer.errors import TransferError

LARGEST = 10**9  # of a whole number; a thousand times the longest schedule of the papers


@dataclass(frozen=True)
class Rule:
    """What a value must be, as a test and in words."""

    holds: Callable[[Any], bool]
    expected: str


def _whole(low: int, high: int = LARGEST) -> Rule:
    return Rule(lambda v: type(v) is int and low <= v <= high, f"a whole number from {low} to {high}")


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _each(rule: Rule, what: str, counts: tuple[int, ...] = (), least: int = 1, rising: bool = False) -> Rule:
    """A list whose items obey `rule`; `counts` are its lengths, all from `least` if empty."""

    def holds(values: Any) -> bool:
        if not isinstance(values, list | tuple) or not all(map(rule.holds, values)):
            return False
        fits = len(values) in counts if counts else len(values) >= least
        return fits and (not rising or all(a < b for a, b in pairwise(values)))

    return Rule(holds, what)


COUNT, NATURAL = _whole(1), _whole(0)
ANY = Rule(_finite, "a finite number")
ABOVE = Rule(lambda v: _finite(v) and v > 0, "a finite number above 0")
WEIGHT = Rule(lambda v: _finite(v) and v >= 0, "a finite number from 0")
SHARE = Rule(lambda v: _finite(v) and 0 <= v <= 1, "a number from 0 to 1")
PART = Rule(lambda v: _finite(v) and 0 < v <= 1, "a number above 0, up to 1")
MOMENTUM = Rule(lambda v: _finite(v) and 0 <= v < 1, "a number from 0, below 1")
SIZES = _each(COUNT, "a list of whole numbers above 0")
STEPS = _each(COUNT, "a list of whole numbers above 0, each larger than the one before", least=0, rising=True)
GROUPS = _each(_each(ABOVE, ""), "lists of numbers above 0, as in [[32, 64], [128, 256]]")

_POOLER = {"POOLER_RESOLUTION": COUNT, "POOLER_SAMPLING_RATIO": NATURAL}
_TREE: dict[str, dict[str, Rule]] = {
    "MODEL": {
        "PIXEL_MEAN": _each(ANY, "three finite numbers", (3,)),
        "PIXEL_STD": _each(ABOVE, "three numbers above 0", (3,)),
    },
    "MODEL.BACKBONE": {"FREEZE_AT": _whole(0, 5)},
    "MODEL.RESNETS": {
        **dict.fromkeys(("NUM_GROUPS", "WIDTH_PER_GROUP", "STEM_OUT_CHANNELS", "RES2_OUT_CHANNELS"), COUNT),
        "RES5_DILATION": _whole(1, 2),
    },
    "MODEL.C5_CONV": {"OUT_CHANNELS": COUNT},
    "MODEL.FPN": {"OUT_CHANNELS": COUNT},
    "MODEL.ANCHOR_GENERATOR": {"SIZES": GROUPS, "ASPECT_RATIOS": GROUPS},
    "MODEL.RPN": {
        "IOU_THRESHOLDS": _each(SHARE, "two rising numbers from 0 to 1", (2,), rising=True),
        "BATCH_SIZE_PER_IMAGE": COUNT,
        "POSITIVE_FRACTION": PART,
        "SMOOTH_L1_BETA": WEIGHT,
        **dict.fromkeys((f"{w}_NMS_TOPK_{s}" for w in ("PRE", "POST") for s in ("TRAIN", "TEST")), COUNT),
        "NMS_THRESH": PART,
    },
    "MODEL.ROI_HEADS": {
        "NUM_CLASSES": COUNT,
        "IOU_THRESHOLDS": _each(SHARE, "a list of one number from 0 to 1", (1,)),
        "BATCH_SIZE_PER_IMAGE": COUNT,
        "POSITIVE_FRACTION": PART,
        "SCORE_THRESH_TEST": SHARE,
        "NMS_THRESH_TEST": PART,
    },
    "MODEL.ROI_BOX_HEAD": {
        "NUM_FC": NATURAL,
        "FC_DIM": COUNT,
        "BBOX_REG_WEIGHTS": _each(ABOVE, "four numbers above 0", (4,)),
        "SMOOTH_L1_BETA": WEIGHT,
        **_POOLER,
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
        "IGNORE_VALUE": _whole(0, 255),
        **dict.fromkeys(("NUM_CLASSES", "CONVS_DIM", "DILATION"), COUNT),
        "NUM_CONVS": NATURAL,
        "LOSS_WEIGHT": WEIGHT,
    },
    "INPUT": {
        "MIN_SIZE_TRAIN": SIZES,
        "MIN_SIZE_TEST": NATURAL,  # 0: the original size
        "MAX_SIZE_TRAIN": COUNT,
        "MAX_SIZE_TEST": COUNT,
        "SCALE_RANGE": _each(ABOVE, "nothing, or [low, high] ratios above 0", (0, 2)),
    },
    "INPUT.CROP": {"SIZE": _each(ABOVE, "[height, width] above 0", (2,))},
    "DATALOADER": {"NUM_WORKERS": _whole(0, 1024), "REPEAT_THRESHOLD": SHARE},
    "SOLVER": {
        **dict.fromkeys(("IMS_PER_BATCH", "MAX_ITER", "CHECKPOINT_PERIOD"), COUNT),
        **dict.fromkeys(("BASE_LR", "GAMMA"), ABOVE),
        "REFERENCE_WORLD_SIZE": NATURAL,
        "MOMENTUM": MOMENTUM,
        **dict.fromkeys(("WEIGHT_DECAY", "WEIGHT_DECAY_NORM"), WEIGHT),
        "STEPS": STEPS,
        "WARMUP_FACTOR": SHARE,
        "WARMUP_ITERS": NATURAL,
    },
    "TEST": {"DETECTIONS_PER_IMAGE": COUNT},
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
