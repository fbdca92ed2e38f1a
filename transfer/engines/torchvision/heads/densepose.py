"""Builds the DensePose head: eight convolutions, then part masks, patch scores, U and V over a person's box.

Güler et al. 2018 (arXiv:1802.00434); layers, names and initial values are those of DensePoseV1ConvXHead and
the chart predictor of Detectron2's DensePose project.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from yacs.config import CfgNode

from transfer.engines.torchvision.backbones.layers import NormConv2d, msra_fill
from transfer.engines.torchvision.heads.densepose_losses import LossWeights, chart_losses, gather_labels
from transfer.engines.torchvision.structures import Detections, Foreground, Targets

NAMES = ("coarse", "fine", "u", "v")


@dataclass(frozen=True)
class DensePoseSettings:
    """MODEL.ROI_DENSEPOSE_HEAD without the pooler."""

    num_convs: int
    conv_dim: int
    kernel_size: int
    deconv_kernel: int
    up_scale: int
    num_patches: int
    num_coarse: int
    fg_iou_threshold: float
    weights: LossWeights


class DensePoseHead(nn.Sequential):
    """(R, C, P, P) -> (R, conv_dim, P, P)."""

    def __init__(self, channels: int, settings: DensePoseSettings):
        super().__init__()
        for number in range(1, settings.num_convs + 1):
            conv = NormConv2d(channels, settings.conv_dim, settings.kernel_size, relu=True)
            msra_fill(conv)
            self.add_module(f"body_conv_fcn{number}", conv)
            channels = settings.conv_dim


class ChartPredictor(nn.Module):
    """(R, C, P, P) -> coarse (R, 15, S, S), fine, u and v (R, 25, S, S) each, S = 2 * up_scale * P."""

    def __init__(self, channels: int, settings: DensePoseSettings):
        super().__init__()
        patches, kernel = settings.num_patches + 1, settings.deconv_kernel
        self.up_scale = settings.up_scale
        self.sizes = [settings.num_coarse, patches, patches, patches]
        self.padding = kernel // 2 - 1
        for name, size in zip(("ann_index", "index_uv", "u", "v"), self.sizes, strict=True):
            layer = nn.ConvTranspose2d(channels, size, kernel, stride=2, padding=self.padding)
            msra_fill(layer)
            self.add_module(f"{name}_lowres", layer)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        layers = [layer for layer in self.children() if isinstance(layer, nn.ConvTranspose2d)]
        # One product in place of four: they read the same input.
        x = F.conv_transpose2d(
            x,
            torch.cat([layer.weight for layer in layers], dim=1),
            torch.cat([layer.bias for layer in layers if layer.bias is not None]),
            stride=2,
            padding=self.padding,
        )
        x = F.interpolate(x, scale_factor=self.up_scale, mode="bilinear", align_corners=False)
        return dict(zip(NAMES, x.split(self.sizes, dim=1), strict=True))


class DensePose(nn.Module):
    """A `RegionHead`; its children are Detectron2's densepose_head and densepose_predictor (see `names`)."""

    def __init__(self, channels: int, settings: DensePoseSettings):
        super().__init__()
        self.settings = settings
        self.head = DensePoseHead(channels, settings)
        self.predictor = ChartPredictor(settings.conv_dim, settings)

    def forward(self, pooled: Tensor) -> dict[str, Tensor]:
        charts: dict[str, Tensor] = self.predictor(self.head(pooled))
        return charts

    @torch.no_grad()
    def select(self, foreground: Sequence[Foreground], targets: Sequence[Targets]) -> list[Foreground]:
        """Regions that lie well on a person who is labelled."""
        chosen = []
        for regions, truth in zip(foreground, targets, strict=True):
            labelled = [d is not None for d in truth.densepose or [None] * len(truth.boxes)]
            on_labelled = torch.tensor(labelled, dtype=torch.bool, device=regions.index.device)[regions.index]
            overlap = paired_iou(regions.boxes, truth.boxes[regions.index])
            chosen.append(regions.only(on_labelled & (overlap > self.settings.fg_iou_threshold)))
        return chosen

    def losses(
        self, pooled: Tensor, foreground: Sequence[Foreground], targets: Sequence[Targets]
    ) -> dict[str, Tensor]:
        """loss_densepose_U, _V (sums over points), _I (mean over points), _S (mean over cells)."""
        return chart_losses(self(pooled), gather_labels(foreground, targets), self.settings.weights)

    def detect(self, pooled: Tensor, found: Sequence[Detections]) -> list[Detections]:
        charts = self(pooled)
        parts = {name: chart.float().split([len(d.boxes) for d in found]) for name, chart in charts.items()}
        return [replace(d, densepose={name: parts[name][i] for name in NAMES}) for i, d in enumerate(found)]


def densepose_head(cfg: CfgNode, channels: int) -> DensePose:
    """The recipe's head at its random initialisation; `channels` of the pooled features."""
    head = cfg.MODEL.ROI_DENSEPOSE_HEAD
    settings = DensePoseSettings(
        num_convs=head.NUM_STACKED_CONVS,
        conv_dim=head.CONV_HEAD_DIM,
        kernel_size=head.CONV_HEAD_KERNEL,
        deconv_kernel=head.DECONV_KERNEL,
        up_scale=head.UP_SCALE,
        num_patches=head.NUM_PATCHES,
        num_coarse=head.NUM_COARSE_SEGM_CHANNELS,
        fg_iou_threshold=head.FG_IOU_THRESHOLD,
        weights=LossWeights(head.INDEX_WEIGHTS, head.PART_WEIGHTS, head.POINT_REGRESSION_WEIGHTS),
    )
    return DensePose(channels, settings)


def paired_iou(a: Tensor, b: Tensor) -> Tensor:
    """(N, 4), (N, 4) -> (N,) the overlap of each box with its partner."""
    sides = (torch.min(a[:, 2:], b[:, 2:]) - torch.max(a[:, :2], b[:, :2])).clamp(min=0)
    both = sides.prod(dim=1)
    return both / ((a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1) - both)
