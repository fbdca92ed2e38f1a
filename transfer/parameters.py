"""How many parameters a recipe's model has, from the recipe alone: no engine and no torch is needed.

Both engines build the same layers; a test holds these counts against the models that they make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from converters.backbone import expected_shapes
from transfer.recipes.values import architecture


@dataclass(frozen=True)
class Count:
    """Parameters of one part of a model. Of a frozen norm there are none: its numbers are buffers."""

    all: int
    trainable: int


def count_parameters(flat: Mapping[str, Any]) -> dict[str, Count]:
    """Part ("backbone", "FPN", "RPN", "box head", ...) -> its parameters, from a flat recipe."""
    kind = architecture(flat)
    parts = {"backbone": _resnet(flat)}
    features, channels = flat["MODEL.FPN.OUT_CHANNELS"], flat["MODEL.RESNETS.RES2_OUT_CHANNELS"]
    norm = flat["MODEL.RESNETS.NORM"]
    if kind == "FCN":
        return parts | {"head": _whole(_fcn_head(flat, channels * 8))}
    match kind:
        case "FPN":
            parts["FPN"] = _whole(_pyramid(flat, channels))
        case "DC5":
            features = flat["MODEL.C5_CONV.OUT_CHANNELS"]
            parts["C5 conv"] = _whole(_conv(channels * 8, features, 3, norm))
        case "C4":
            features = channels * 4
            if flat["MODEL.ROI_HEADS.NAME"] == "Res5ROIHeadsExtraNorm":
                parts["extra norm"] = _whole(_norm(norm, channels * 8))
    parts["RPN"] = _whole(_rpn(flat, features))
    regions = channels * 8 if kind == "C4" else features
    parts["box head"] = _whole(_box(flat, regions, kind))
    for key, name, count in (
        ("MODEL.MASK_ON", "mask head", _mask),
        ("MODEL.KEYPOINT_ON", "keypoint head", _keypoint),
        ("MODEL.DENSEPOSE_ON", "DensePose head", _densepose),
    ):
        if flat[key]:
            parts[name] = _whole(count(flat, regions))
    return parts


def _whole(number: int) -> Count:
    return Count(number, number)


def _norm(kind: str, channels: int) -> int:
    return 0 if kind in ("", "FrozenBN") else 2 * channels


def _conv(inputs: int, outputs: int, kernel: int, norm: str = "") -> int:
    """A convolution with its norm, or with a bias where it has none; transposed ones count alike."""
    return inputs * outputs * kernel**2 + (_norm(norm, outputs) if norm else outputs)


def _resnet(flat: Mapping[str, Any]) -> Count:
    shapes = expected_shapes(
        flat["MODEL.RESNETS.DEPTH"],
        flat["MODEL.RESNETS.NUM_GROUPS"],
        flat["MODEL.RESNETS.WIDTH_PER_GROUP"],
        flat["MODEL.RESNETS.STEM_OUT_CHANNELS"],
        flat["MODEL.RESNETS.RES2_OUT_CHANNELS"],
    )
    # FREEZE_AT n freezes the stem (1) and res2 (2) ... and makes their norms frozen ones.
    frozen = [f"res{stage}." for stage in range(2, flat["MODEL.BACKBONE.FREEZE_AT"] + 1)]
    if flat["MODEL.BACKBONE.FREEZE_AT"] >= 1:
        frozen.append("stem.")
    everything = trainable = 0
    for name, shape in shapes.items():
        held = name.startswith(tuple(frozen))
        if ".norm." in name:
            buffer = name.rsplit(".", 1)[1] not in ("weight", "bias")
            if buffer or held or flat["MODEL.RESNETS.NORM"] == "FrozenBN":
                continue
        everything += prod(shape)
        trainable += 0 if held else prod(shape)
    return Count(everything, trainable)


def _pyramid(flat: Mapping[str, Any], res2_channels: int) -> int:
    out, norm = flat["MODEL.FPN.OUT_CHANNELS"], flat["MODEL.FPN.NORM"]
    return sum(_conv(res2_channels << i, out, 1, norm) + _conv(out, out, 3, norm) for i in range(4))


def _rpn(flat: Mapping[str, Any], channels: int) -> int:
    sizes, ratios = flat["MODEL.ANCHOR_GENERATOR.SIZES"], flat["MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS"]
    anchors = len(sizes[0]) * len(ratios[0])
    return _conv(channels, channels, 3) + _conv(channels, anchors, 1) + _conv(channels, 4 * anchors, 1)


def _box(flat: Mapping[str, Any], channels: int, kind: str) -> int:
    classes, count = flat["MODEL.ROI_HEADS.NUM_CLASSES"], 0
    if kind != "C4":  # there res5 is the head, and its mean goes to the predictor
        inputs = channels * flat["MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION"] ** 2
        channels = flat["MODEL.ROI_BOX_HEAD.FC_DIM"]
        for _ in range(flat["MODEL.ROI_BOX_HEAD.NUM_FC"]):
            count += inputs * channels + channels
            inputs = channels
    return count + (channels + 1) * (classes + 1) + (channels + 1) * 4 * classes


def _mask(flat: Mapping[str, Any], channels: int) -> int:
    width, count = flat["MODEL.ROI_MASK_HEAD.CONV_DIM"], 0
    for _ in range(flat["MODEL.ROI_MASK_HEAD.NUM_CONV"]):
        count += _conv(channels, width, 3)
        channels = width
    return count + _conv(channels, width, 2) + _conv(width, flat["MODEL.ROI_HEADS.NUM_CLASSES"], 1)


def _keypoint(flat: Mapping[str, Any], channels: int) -> int:
    count = 0
    for width in flat["MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS"]:
        count += _conv(channels, width, 3)
        channels = width
    return count + _conv(channels, flat["MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS"], 4)


def _densepose(flat: Mapping[str, Any], channels: int) -> int:
    head = {key.rsplit(".", 1)[1]: value for key, value in flat.items() if ".ROI_DENSEPOSE_HEAD." in key}
    width, count = head["CONV_HEAD_DIM"], 0
    for _ in range(head["NUM_STACKED_CONVS"]):
        count += _conv(channels, width, head["CONV_HEAD_KERNEL"])
        channels = width
    # coarse segmentation, then part index, U and V with a channel for the background
    maps = (head["NUM_COARSE_SEGM_CHANNELS"], *[head["NUM_PATCHES"] + 1] * 3)
    return count + sum(_conv(width, out, head["DECONV_KERNEL"]) for out in maps)


def _fcn_head(flat: Mapping[str, Any], channels: int) -> int:
    width, norm, count = flat["MODEL.SEM_SEG_HEAD.CONVS_DIM"], flat["MODEL.SEM_SEG_HEAD.NORM"], 0
    for _ in range(flat["MODEL.SEM_SEG_HEAD.NUM_CONVS"]):
        count += _conv(channels, width, 3, norm)
        channels = width
    return count + _conv(channels, flat["MODEL.SEM_SEG_HEAD.NUM_CLASSES"], 1)
