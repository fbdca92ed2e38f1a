"""Builds the ResNet of Detectron2's detectors of the stem and the stages that `converters.models` has."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from yacs.config import CfgNode

from converters.models.resnet import NAMES, Shape, Stem, make_stage
from transfer.engines.norms import norm_layer

__all__ = ["NAMES", "ResNet", "build", "build_last_stage"]


class ResNet(nn.Module):
    """Stem and stages up to the last of `out_features`; (N, 3, H, W) -> {"res4": (N, C, H/16, W/16), ...}.

    The first `freeze_at` of (stem, res2, ...) are frozen, norms included. `strides` and `channels` are those
    of the outputs, by name.
    """

    size_divisibility = 1

    def __init__(
        self, shape: Shape, out_features: Sequence[str], norm: str, freeze_at: int, res5_dilation: int = 1
    ):
        super().__init__()
        last = max(int(name.removeprefix("res")) for name in out_features)
        stem_norm = norm_layer("FrozenBN" if freeze_at >= 1 else norm)
        self.stem = Stem(shape.stem_out_channels, stem_norm, shape.deep_stem)
        self.stages = range(2, last + 1)
        self.out_features = tuple(out_features)
        numbers = {name: int(name.removeprefix("res")) for name in out_features}
        self.channels = {name: shape.res2_out_channels * 2 ** (n - 2) for name, n in numbers.items()}
        self.strides = {name: 2**n for name, n in numbers.items()}
        if "res5" in self.strides and res5_dilation > 1:
            self.strides["res5"] = self.strides["res5"] // 2
        for stage in self.stages:
            dilation = res5_dilation if stage == 5 else 1
            stage_norm = "FrozenBN" if freeze_at >= stage else norm
            setattr(self, f"res{stage}", make_stage(shape, stage, norm_layer(stage_norm), dilation))
        for stage, name in enumerate(["stem", *(f"res{s}" for s in self.stages)], start=1):
            if freeze_at >= stage:
                getattr(self, name).requires_grad_(False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.stem(x)
        features = {}
        for stage in self.stages:
            x = features[f"res{stage}"] = getattr(self, f"res{stage}")(x)
        return {name: features[name] for name in self.out_features}


def build(cfg: CfgNode) -> ResNet:
    """Builds the recipe's ResNet up to the last of MODEL.RESNETS.OUT_FEATURES."""
    r = cfg.MODEL.RESNETS
    return ResNet(shape_of(cfg), r.OUT_FEATURES, r.NORM, cfg.MODEL.BACKBONE.FREEZE_AT, r.RES5_DILATION)


def build_last_stage(cfg: CfgNode) -> tuple[nn.Sequential, int]:
    """Builds the recipe's res5 by itself, the head of C4 recipes; with its number of channels.

    It may end in the extra norm of the MoCo paper (section 4.2), under the name "norm".
    """
    make_norm = norm_layer(cfg.MODEL.RESNETS.NORM)
    stage, channels = make_stage(shape_of(cfg), 5, make_norm), cfg.MODEL.RESNETS.RES2_OUT_CHANNELS * 8
    if cfg.MODEL.ROI_HEADS.NAME == "Res5ROIHeadsExtraNorm":
        stage.add_module("norm", make_norm(channels))
    return stage, channels


def shape_of(cfg: CfgNode) -> Shape:
    """Returns the shape of the recipe's ResNet."""
    r = cfg.MODEL.RESNETS
    return Shape(
        r.DEPTH,
        r.NUM_GROUPS,
        r.WIDTH_PER_GROUP,
        r.STEM_OUT_CHANNELS,
        r.RES2_OUT_CHANNELS,
        r.STRIDE_IN_1X1,
        r.STEM == "deep",
        r.AVG_DOWN,
    )
