"""Builds Detectron2's backbones of the families that its registry does not have: ViT, ConvNeXt and Swin.

Its own ViT computes what it can express. Any other file (layer scale, registers, rotary positions ...) goes
into the function that both engines share, wrapped as a Backbone, and the log says why.
"""

from __future__ import annotations

import importlib.util
import logging
from functools import partial
from typing import Any

import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, FPN, Backbone
from detectron2.modeling.backbone.fpn import LastLevelMaxPool
from detectron2.modeling.backbone.vit import SimpleFeaturePyramid, ViT
from torch import nn

from transfer.engines import published
from transfer.engines.taps import Taps
from transfer.recipes.pyramids import SCALES

log = logging.getLogger(__name__)

# What Detectron2's ViT computes: key of MODEL.VIT -> the one value.
PLAIN: dict[str, Any] = {
    "REGISTERS": 0,
    "PRE_NORM": False,
    "LAYER_SCALE": False,
    "MLP": "mlp",
    "MLP_NORM": False,
    "ATTN_NORM": False,
    "QK_NORM": False,
    "REL_POS": "",
    "ACTIVATION": "gelu",
    "ROPE": "",
    "POS_INTERPOLATION": "detectron2",
    "REL_BIAS_TOKENS": 0,
    "REL_BIAS_SHARED": False,
    "TAPS": [-1],
    "NORM_TAPS": False,
}


class CarryingViT(ViT):
    """Detectron2's ViT with the class token of its file, which it has no use for: a tuned model is whole."""

    def __init__(self, class_token: bool, **settings: Any) -> None:
        super().__init__(**settings)
        if class_token:
            width = settings["embed_dim"]
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width), requires_grad=False)


class _Maps(Backbone):
    """Tells Detectron2 the shapes of a function's maps; `wrapped` puts it under the function's class."""

    strides: dict[str, int]
    channels: dict[str, int]

    @property
    def size_divisibility(self) -> int:
        """The function's own, which Detectron2's property hides."""
        return int(self.__dict__["size_divisibility"])

    def output_shape(self) -> dict[str, ShapeSpec]:
        return {n: ShapeSpec(channels=self.channels[n], stride=s) for n, s in self.strides.items()}


def wrapped(function: nn.Module) -> Backbone:
    """Makes a module of `converters.models` a Backbone in its place; the names of its tensors stay."""
    kind = type(function)
    function.__class__ = type(kind.__name__, (kind, _Maps), {})
    assert isinstance(function, Backbone)
    return function


def _vit(cfg: Any) -> Backbone:
    why = beyond(cfg.MODEL.VIT)
    if why:
        log.warning("backbone: our ViT instead of Detectron2's, which has no %s", why)
        return wrapped(published.build(cfg))
    v = cfg.MODEL.VIT
    everywhere = {number % v.DEPTH for number in v.GLOBAL_BLOCKS}
    side = round((v.POS_TOKENS - v.POS_PREFIX) ** 0.5)
    return CarryingViT(
        v.CLASS_TOKEN,
        img_size=v.REL_POS_TOKENS * v.PATCH_SIZE,
        patch_size=v.PATCH_SIZE,
        embed_dim=v.EMBED_DIM,
        depth=v.DEPTH,
        num_heads=v.NUM_HEADS,
        mlp_ratio=v.MLP_DIM / v.EMBED_DIM,
        qkv_bias=v.QKV_BIAS,
        drop_path_rate=v.DROP_PATH,
        norm_layer=partial(nn.LayerNorm, eps=v.NORM_EPS),
        use_abs_pos=v.POS_TOKENS > 0,
        use_rel_pos=v.REL_POS_TOKENS > 0,
        window_size=v.WINDOW,
        window_block_indexes=[n for n in range(v.DEPTH) if v.WINDOW and n not in everywhere],
        pretrain_img_size=side * v.PATCH_SIZE,
        pretrain_use_cls_token=v.POS_PREFIX == 1,
        out_feature="tap1",
    )


def beyond(vit: Any) -> str:
    """Names what of a MODEL.VIT Detectron2's own class cannot express; nothing where it can."""
    if importlib.util.find_spec("timm") is None:
        return "timm here, from which it takes its MLP"
    if vit.CLASS_TOKEN and not vit.WINDOW:
        return "class token, which takes part where no block has windows"
    if int(vit.EMBED_DIM * (vit.MLP_DIM / vit.EMBED_DIM)) != vit.MLP_DIM:
        return f"MLP of {vit.MLP_DIM} channels"
    return ", ".join(f"{key} {vit[key]!r}" for key, value in PLAIN.items() if vit[key] != value)


@BACKBONE_REGISTRY.register()
def build_vit_simple_pyramid_backbone(cfg: Any, input_shape: ShapeSpec) -> SimpleFeaturePyramid:
    """Builds ViTDet's backbone under the name that its recipes give it."""
    net, neck = _vit(cfg), cfg.MODEL.SIMPLE_PYRAMID
    return SimpleFeaturePyramid(
        net,
        next(iter(net.output_shape())),
        neck.OUT_CHANNELS,
        SCALES,
        top_block=LastLevelMaxPool(),
        norm=neck.NORM,
        square_pad=neck.SQUARE_PAD,
    )


def _fpn(cfg: Any, maps: Backbone, square_pad: int = 0) -> FPN:
    neck = cfg.MODEL.FPN
    return FPN(
        maps,
        neck.IN_FEATURES,
        neck.OUT_CHANNELS,
        norm=neck.NORM,
        top_block=LastLevelMaxPool(),
        square_pad=square_pad,
    )


@BACKBONE_REGISTRY.register()
def build_vit_fpn_backbone(cfg: Any, input_shape: ShapeSpec) -> FPN:
    """Builds a pyramid on four taps of a ViT, which is ours: Detectron2's has one map."""
    neck = cfg.MODEL.TAP_PYRAMID
    return _fpn(cfg, wrapped(Taps(published.build(cfg), neck.NORM)), neck.SQUARE_PAD)


@BACKBONE_REGISTRY.register()
def build_convnext_fpn_backbone(cfg: Any, input_shape: ShapeSpec) -> FPN:
    """Builds a pyramid on the four maps of a ConvNeXt."""
    return _fpn(cfg, wrapped(published.build(cfg)))


@BACKBONE_REGISTRY.register()
def build_swin_fpn_backbone(cfg: Any, input_shape: ShapeSpec) -> FPN:
    """Builds a pyramid on the four maps of a Swin."""
    return _fpn(cfg, wrapped(published.build(cfg)))


def _alone(cfg: Any) -> Backbone:
    """Builds a backbone without a neck, whose maps a segmentor's head takes as they are."""
    return wrapped(published.build(cfg))


@BACKBONE_REGISTRY.register()
def build_vit_backbone(cfg: Any, input_shape: ShapeSpec) -> Backbone:
    """Builds a ViT of any publisher: Detectron2's has one map, and no class token that takes part."""
    return _alone(cfg)


@BACKBONE_REGISTRY.register()
def build_convnext_backbone(cfg: Any, input_shape: ShapeSpec) -> Backbone:
    """Builds a ConvNeXt."""
    return _alone(cfg)


@BACKBONE_REGISTRY.register()
def build_swin_backbone(cfg: Any, input_shape: ShapeSpec) -> Backbone:
    """Builds a Swin."""
    return _alone(cfg)
