"""What the engines can obey: the values of single keys, and the four architectures that recipes are made of.

A key of the right type whose value no engine honours would be ignored in silence; here it is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transfer.errors import TransferError
from transfer.recipes.numbers import check_numbers

NORMS = ("BN", "SyncBN", "naiveSyncBN", "FrozenBN")

CHOICES: dict[str, tuple[Any, ...]] = {
    "MODEL.RESNETS.DEPTH": (50, 101, 152),
    "MODEL.RESNETS.NORM": NORMS,
    "MODEL.FPN.NORM": ("", *NORMS),
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": ("ROIAlign", "ROIAlignV2"),
    "MODEL.ROI_DENSEPOSE_HEAD.POOLER_TYPE": ("ROIAlign", "ROIAlignV2"),
    "INPUT.FORMAT": ("RGB", "BGR"),
    "INPUT.RANDOM_FLIP": ("horizontal", "none"),
    "INPUT.CROP.TYPE": ("absolute", "relative_range"),  # the second is the default of a crop that is off
    "SOLVER.AMP.DTYPE": ("bfloat16", "float16"),
    "DATALOADER.SAMPLER_TRAIN": ("TrainingSampler", "RepeatFactorTrainingSampler"),
}
# The keys that name an architecture, and what each of the four demands of the others.
_NAMING = ("MODEL.META_ARCHITECTURE", "MODEL.BACKBONE.NAME", "MODEL.ROI_HEADS.NAME")
_OFF: dict[str, tuple[Any, ...]] = {
    "MODEL.MASK_ON": (False,),
    "MODEL.KEYPOINT_ON": (False,),
    "MODEL.DENSEPOSE_ON": (False,),
}
_WHOLE: dict[str, tuple[Any, ...]] = {  # a detector sees whole images
    "INPUT.CROP.ENABLED": (False,),
    "INPUT.SCALE_RANGE": ([],),
}
_BOTH = (False, True)
_PYRAMID = ["res2", "res3", "res4", "res5"]
ARCHITECTURES: dict[str, dict[str, tuple[Any, ...]]] = {
    "C4": {
        "MODEL.META_ARCHITECTURE": ("GeneralizedRCNN",),
        "MODEL.BACKBONE.NAME": ("build_resnet_backbone",),
        "MODEL.ROI_HEADS.NAME": ("Res5ROIHeads", "Res5ROIHeadsExtraNorm"),
        "MODEL.RESNETS.OUT_FEATURES": (["res4"],),
        "MODEL.RESNETS.RES5_DILATION": (1,),
        "MODEL.RPN.IN_FEATURES": (["res4"],),
        "MODEL.ROI_HEADS.IN_FEATURES": (["res4"],),
        "MODEL.ROI_MASK_HEAD.NUM_CONV": (0,),
        **_OFF,
        **_WHOLE,
        "MODEL.MASK_ON": _BOTH,
    },
    "DC5": {
        "MODEL.META_ARCHITECTURE": ("GeneralizedRCNN",),
        "MODEL.BACKBONE.NAME": ("build_resnet_c5_conv_backbone",),
        "MODEL.ROI_HEADS.NAME": ("StandardROIHeads",),
        "MODEL.RESNETS.OUT_FEATURES": (["res5"],),
        "MODEL.RESNETS.RES5_DILATION": (2,),
        "MODEL.RPN.IN_FEATURES": (["c5_conv"],),
        "MODEL.ROI_HEADS.IN_FEATURES": (["c5_conv"],),
        **_OFF,
        **_WHOLE,
    },
    "FPN": {
        "MODEL.META_ARCHITECTURE": ("GeneralizedRCNN",),
        "MODEL.BACKBONE.NAME": ("build_resnet_fpn_backbone",),
        "MODEL.ROI_HEADS.NAME": ("StandardROIHeads", "DensePoseROIHeads"),
        "MODEL.RESNETS.OUT_FEATURES": (_PYRAMID,),
        "MODEL.RESNETS.RES5_DILATION": (1,),
        "MODEL.FPN.IN_FEATURES": (_PYRAMID,),
        "MODEL.RPN.IN_FEATURES": (["p2", "p3", "p4", "p5", "p6"],),
        "MODEL.ROI_HEADS.IN_FEATURES": (["p2", "p3", "p4", "p5"],),
        "MODEL.MASK_ON": _BOTH,
        "MODEL.KEYPOINT_ON": _BOTH,
        "MODEL.DENSEPOSE_ON": _BOTH,
        **_WHOLE,
    },
    "FCN": {
        "MODEL.META_ARCHITECTURE": ("SemanticSegmentor",),
        "MODEL.BACKBONE.NAME": ("build_resnet_backbone",),
        "MODEL.SEM_SEG_HEAD.NAME": ("FCN16sHead",),
        "MODEL.RESNETS.OUT_FEATURES": (["res5"],),
        "MODEL.RESNETS.RES5_DILATION": (2,),
        "MODEL.SEM_SEG_HEAD.IN_FEATURES": (["res5"],),
        "MODEL.SEM_SEG_HEAD.IGNORE_VALUE": (255,),  # what our readers write
        "INPUT.CROP.ENABLED": (True,),
        "INPUT.CROP.TYPE": ("absolute",),
        **_OFF,
    },
}


def architecture(flat: Mapping[str, Any]) -> str:
    """C4, DC5, FPN or FCN, from a flat recipe; TransferError where the named parts make up none of them."""
    for name, demands in ARCHITECTURES.items():
        if all(flat[key] in demands[key] for key in _NAMING if key in demands):
            return name
    raise TransferError(
        f"{' + '.join(str(flat[key]) for key in _NAMING)} is no architecture of ours; a recipe is C4 "
        "(Res5ROIHeads), dilated C5, FPN (StandardROIHeads) or FCN-16s: take over what ours say"
    )


def check_values(flat: Mapping[str, Any], source: str, said: Mapping[str, str] | None = None) -> None:
    """Refuses values of the right type that no engine could obey.

    The line names the key and who set it: `said` holds key -> file or option, `source` stands for all others.
    """

    def where(key: str) -> str:
        return (said or {}).get(key, source)

    try:
        kind = architecture(flat)
    except TransferError as error:
        raise TransferError(f"{source}: {error}") from None
    check_numbers(flat, where)
    dense = _dense_head(flat) if flat["MODEL.DENSEPOSE_ON"] else {}
    for key, allowed in {**CHOICES, **ARCHITECTURES[kind], **dense}.items():
        if flat[key] not in allowed:
            expected = " or ".join(map(repr, allowed))
            expected += f" in a {kind} recipe" if key not in CHOICES else ""
            raise TransferError(f"{where(key)}: {key} is {flat[key]!r}; the engines honour {expected}")
    if flat["MODEL.DENSEPOSE_ON"] != (flat["MODEL.ROI_HEADS.NAME"] == "DensePoseROIHeads"):
        raise TransferError(f"{source}: MODEL.DENSEPOSE_ON and ROI_HEADS.NAME DensePoseROIHeads go together")
    if kind == "FCN":
        _check_crops(flat["INPUT.SCALE_RANGE"], flat["INPUT.CROP.SIZE"], source)


def _dense_head(flat: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """What a DensePose recipe must say: the chart head of 2019, whose output size follows from its layers."""
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


def _check_crops(scale: list[Any], size: list[Any], source: str) -> None:
    ratios = len(scale) == 2 and 0 < scale[0] <= scale[1]
    pixels = len(size) == 2 and all(v == int(v) > 0 for v in size)
    if not (ratios and pixels):
        raise TransferError(
            f"{source}: INPUT.SCALE_RANGE {scale!r} and CROP.SIZE {size!r}; expected [low, high] ratios and "
            "[height, width] in pixels"
        )
