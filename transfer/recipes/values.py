"""Refuses values that no engine can obey, of single keys and of the architectures that recipes are made of.

A key of the right type whose value no engine honours would be ignored in silence; here it is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transfer.errors import TransferError
from transfer.recipes.architectures import FAMILIES, Demands, architecture_of
from transfer.recipes.box_heads import check_box_heads
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.norms import AFTER_CONV
from transfer.recipes.numbers import check_numbers
from transfer.recipes.patches import check_sizes
from transfer.recipes.vit import VIT

CHOICES: Demands = {
    **{key: values for family in FAMILIES for key, values in family.choices.items()},
    **dict.fromkeys(("MODEL.FPN.NORM", "MODEL.ROI_BOX_HEAD.NORM", "MODEL.ROI_MASK_HEAD.NORM"), AFTER_CONV),
    "MODEL.SIMPLE_PYRAMID.NORM": AFTER_CONV,
    "MODEL.RPN.CONV_DIMS": ([-1], [-1, -1]),  # one or two convolutions, as wide as what comes in
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": ("ROIAlign", "ROIAlignV2"),
    "MODEL.ROI_DENSEPOSE_HEAD.POOLER_TYPE": ("ROIAlign", "ROIAlignV2"),
    "INPUT.FORMAT": ("RGB", "BGR"),
    "INPUT.RANDOM_FLIP": ("horizontal", "none"),
    "INPUT.CROP.TYPE": ("absolute", "relative_range"),  # the second is the default of a crop that is off
    "INPUT.SCALE_OF": ("image", "shortest"),
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
    key = "SOLVER.LAYER_DECAY"
    if flat[key] != 1.0 and row.family not in LAYERED:
        raise TransferError(
            f"{where(key)}: {key} is {flat[key]}; a {row.family.name} has no rule for it: leave it at 1.0, "
            f"or take a {' or a '.join(family.name for family in LAYERED)}"
        )
    _check_no_more(flat, where, "SOLVER.BASE_LR_END", "SOLVER.BASE_LR")
    check_box_heads(flat, where)
    if row.semantic:
        _check_no_more(flat, where, "TEST.SLIDING_WINDOW.STRIDE", "TEST.SLIDING_WINDOW.SIZE")
        _check_crops(flat, source)
        check_sizes(flat, source)
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
    jittered = flat["INPUT.CROP.ENABLED"] or bool(flat["INPUT.SCALE_RANGE"])
    needed = {"INPUT.CROP.ENABLED": True, "INPUT.CROP.TYPE": "absolute"}
    for key, value in needed.items() if jittered else ():
        if flat[key] != value:
            raise TransferError(f"{where(key)}: {key} is {flat[key]!r}; INPUT.SCALE_RANGE needs {value!r}")
    if jittered:
        _check_crops(flat, where("INPUT.SCALE_RANGE"))
    has_square = architecture_of(flat).neck == "simple_pyramid"
    square = flat["MODEL.SIMPLE_PYRAMID.SQUARE_PAD"] if has_square else 0
    train = "INPUT.CROP.SIZE" if jittered else "INPUT.MAX_SIZE_TRAIN"
    for key in (train, "INPUT.MAX_SIZE_TEST") if square else ():
        largest = max(flat[key]) if isinstance(flat[key], list) else flat[key]
        if largest > square:
            raise TransferError(
                f"{where(key)}: {key} is {flat[key]!r}; expected no side above the square of "
                f"MODEL.SIMPLE_PYRAMID.SQUARE_PAD, {square}"
            )


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
