"""Refuses values that no engine can obey, of single keys and of the architectures that recipes are made of.

A key of the right type whose value no engine honours would be ignored in silence; here it is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transfer.errors import TransferError
from transfer.recipes.architectures import FAMILIES, architecture_of
from transfer.recipes.box_heads import check_box_heads
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.demands import Demands
from transfer.recipes.fitting import check_head
from transfer.recipes.frozen import HEADS, INTERPOLATIONS, POOLS, PROBES, SCHEDULES
from transfer.recipes.norms import AFTER_CONV, UPSAMPLED
from transfer.recipes.numbers import check_numbers
from transfer.recipes.own import OWN, misfit
from transfer.recipes.patches import check_sizes
from transfer.recipes.vit import VIT

CHOICES: Demands = {
    **{key: values for family in FAMILIES for key, values in family.choices.items()},
    **dict.fromkeys(("MODEL.FPN.NORM", "MODEL.ROI_BOX_HEAD.NORM", "MODEL.ROI_MASK_HEAD.NORM"), AFTER_CONV),
    "MODEL.SIMPLE_PYRAMID.NORM": AFTER_CONV,
    "MODEL.TAP_PYRAMID.NORM": UPSAMPLED,
    "MODEL.RPN.CONV_DIMS": ([-1], [-1, -1]),  # one or two convolutions, as wide as what comes in
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": ("ROIAlign", "ROIAlignV2"),
    "MODEL.ROI_DENSEPOSE_HEAD.POOLER_TYPE": ("ROIAlign", "ROIAlignV2"),
    "INPUT.FORMAT": ("RGB", "BGR"),
    "INPUT.RANDOM_FLIP": ("horizontal", "none"),
    "INPUT.CROP.TYPE": ("absolute", "absolute_range", "relative_range"),  # the last: of a crop that is off
    "INPUT.SCALE_OF": ("image", "shortest"),
    "PROBE.NAME": ("", *PROBES),
    "PROBE.HEAD": HEADS,
    "PROBE.LINEAR.SCHEDULE": SCHEDULES,
    "FEATURES.POOL": POOLS,
    "FEATURES.INTERPOLATION": INTERPOLATIONS,
    "FEATURES.PRECISION": ("fp32", "bf16"),
    "SOLVER.OPTIMIZER": ("sgd", "adamw"),
    "SOLVER.LR_SCHEDULER_NAME": ("WarmupMultiStepLR", "WarmupCosineLR", "WarmupPolyLR"),
    "SOLVER.CLIP_GRADIENTS.CLIP_TYPE": ("value", "norm", "full_model"),
    "SOLVER.AMP.DTYPE": ("bfloat16", "float16"),
    "DATALOADER.SAMPLER_TRAIN": ("TrainingSampler", "RepeatFactorTrainingSampler"),
}

LAYERED = (VIT, CONVNEXT)  # families with a rule of layer decay, in `transfer.engines.layer_decay`


def check_values(flat: Mapping[str, Any], source: str, said: Mapping[str, str] | None = None) -> None:
    """Refuses values of the right type that no engine could obey.

    The line names the key and who set it: `said` holds key -> file or option, `source` stands for all others.
    """

    def where(key: str) -> str:
        return (said or {}).get(key, source)

    try:
        row = architecture_of(flat)
    except TransferError as error:
        raise TransferError(f"{source}: {error}") from None
    check_numbers(flat, where)
    dense = _dense_head(flat) if flat["MODEL.DENSEPOSE_ON"] else {}
    for key, allowed in {**CHOICES, **row.demands, **dense}.items():
        if flat[key] not in allowed:
            expected = " or ".join(map(repr, allowed))
            expected += f" in a {row.name} recipe" if key not in CHOICES else ""
            raise TransferError(f"{where(key)}: {key} is {flat[key]!r}; the engines honour {expected}")
    if flat["MODEL.DENSEPOSE_ON"] != (flat["MODEL.ROI_HEADS.NAME"] == "DensePoseROIHeads"):
        raise TransferError(f"{source}: MODEL.DENSEPOSE_ON and ROI_HEADS.NAME DensePoseROIHeads go together")
    if row.family is OWN and (why := misfit(flat, row.neck)):
        raise TransferError(f"{source}: {why}")
    key = "SOLVER.LAYER_DECAY"
    if flat[key] != 1.0 and row.family not in (*LAYERED, OWN):
        raise TransferError(
            f"{where(key)}: {key} is {flat[key]}; a {row.family.name} has no rule for it: leave it at 1.0, "
            f"or take a {' or a '.join(family.name for family in LAYERED)}"
        )
    _check_no_more(flat, where, "SOLVER.BASE_LR_END", "SOLVER.BASE_LR")
    _check_resized_crops(flat, where)
    check_box_heads(flat, where)
    if row.heads == "probe":
        if flat["FEATURES.RESIZE"]:
            _check_no_more(flat, where, "FEATURES.CROP", "FEATURES.RESIZE")
    elif row.semantic:
        _check_no_more(flat, where, "TEST.SLIDING_WINDOW.STRIDE", "TEST.SLIDING_WINDOW.SIZE")
        _check_crops(flat, source)
        check_sizes(flat, source)
        check_head(flat, where)
    else:
        _check_windows(flat, where)


def _check_no_more(flat: Mapping[str, Any], where: Callable[[str], str], key: str, limit: str) -> None:
    """Refuses a number above that of `limit`, or a list with one that is above its counterpart."""
    pair = [value if isinstance(value, list) else [value] for value in (flat[key], flat[limit])]
    if any(value > most for value, most in zip(*pair, strict=True)):
        raise TransferError(
            f"{where(key)}: {key} is {flat[key]}; expected no more than {limit}, {flat[limit]}"
        )


def _dense_head(flat: Mapping[str, Any]) -> Demands:
    """The demands on a DensePose recipe: the chart head of 2019; its output size follows from its layers."""
    head = "MODEL.ROI_DENSEPOSE_HEAD."
    size = flat[head + "POOLER_RESOLUTION"] * 2 * flat[head + "UP_SCALE"]
    return {
        head + "NAME": ("DensePoseV1ConvXHead",),
        head + "DECODER_ON": (False,),
        head + "DECONV_KERNEL": (4,),
        head + "NUM_PATCHES": (24,),
        head + "NUM_COARSE_SEGM_CHANNELS": (2, 15),
        head + "HEATMAP_SIZE": (size,),
    }


def _check_windows(flat: Mapping[str, Any], where: Callable[[str], str]) -> None:
    """Refuses a detector's jitter that is half said, and images larger than the square for them."""
    cropped = flat["INPUT.CROP.ENABLED"] and flat["INPUT.CROP.TYPE"] == "absolute_range"
    jittered = not cropped and (flat["INPUT.CROP.ENABLED"] or bool(flat["INPUT.SCALE_RANGE"]))
    needed = {"INPUT.CROP.ENABLED": True, "INPUT.CROP.TYPE": "absolute"}
    for key, value in needed.items() if jittered else ():
        if flat[key] != value:
            raise TransferError(f"{where(key)}: {key} is {flat[key]!r}; INPUT.SCALE_RANGE needs {value!r}")
    if jittered:
        _check_crops(flat, where("INPUT.SCALE_RANGE"))
    of_square = architecture_of(flat).square
    square = flat[of_square] if of_square else 0
    train = "INPUT.CROP.SIZE" if jittered else "INPUT.MAX_SIZE_TRAIN"
    for key in (train, "INPUT.MAX_SIZE_TEST") if square else ():
        largest = max(flat[key]) if isinstance(flat[key], list) else flat[key]
        if largest > square:
            raise TransferError(
                f"{where(key)}: {key} is {flat[key]!r}; expected no side above the square of "
                f"{of_square}, {square}"
            )


def _check_resized_crops(flat: Mapping[str, Any], where: Callable[[str], str]) -> None:
    """Refuses what is half said of crops between two resizes, or what goes with another crop."""
    crop = "INPUT.CROP."
    cropped = flat[crop + "ENABLED"] and flat[crop + "TYPE"] == "absolute_range"
    size, before = flat[crop + "SIZE"], flat[crop + "MIN_SIZE_BEFORE"]
    wrong: dict[str, str] = {}
    if before and not cropped:
        wrong[crop + "MIN_SIZE_BEFORE"] = "[], or INPUT.CROP.ENABLED True and TYPE absolute_range"
    if cropped and not before:
        wrong[crop + "MIN_SIZE_BEFORE"] = "shorter sides before a crop of absolute_range"
    if cropped and flat["INPUT.SCALE_RANGE"]:
        wrong["INPUT.SCALE_RANGE"] = "[] with a crop of absolute_range"
    if cropped and (any(side != int(side) for side in size) or size[0] > size[1]):
        wrong[crop + "SIZE"] = "the lowest and the highest side of a window in pixels, as in [384, 600]"
    for key, expected in wrong.items():
        raise TransferError(f"{where(key)}: {key} is {flat[key]}; expected {expected}")


def _check_crops(flat: Mapping[str, Any], source: str) -> None:
    shortest = flat["INPUT.MIN_SIZE_TRAIN"]
    if flat["INPUT.SCALE_OF"] == "shortest" and len(shortest) != 1:
        raise TransferError(
            f"{source}: INPUT.MIN_SIZE_TRAIN is {shortest}; expected one side, which INPUT.SCALE_RANGE scales"
        )
    scale, size = flat["INPUT.SCALE_RANGE"], flat["INPUT.CROP.SIZE"]
    ratios = len(scale) == 2 and 0 < scale[0] <= scale[1]
    pixels = len(size) == 2 and all(v == int(v) > 0 for v in size)
    if not (ratios and pixels):
        raise TransferError(
            f"{source}: INPUT.SCALE_RANGE {scale!r} and CROP.SIZE {size!r}; expected [low, high] ratios and "
            "[height, width] in pixels"
        )
