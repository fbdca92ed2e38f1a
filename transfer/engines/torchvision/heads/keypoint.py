"""The keypoint head of Mask R-CNN (He et al., arXiv 1703.06870, section 5): one heat map a keypoint.

Not torchvision's `KeypointRCNNHeads` and predictor: in Detectron2, with whose KRCNNConvDeconvUpsampleHead the
parameter names are shared, regions without a visible keypoint are left out and the loss can be normalised by
what a full batch would hold.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import keypoints_to_heatmap

from transfer.engines.torchvision.heads.keypoint_output import heatmaps_to_keypoints
from transfer.engines.torchvision.structures import Detections, Foreground, Targets


class KeypointHead(nn.Sequential):
    """Region features (N, channels, P, P) -> heat map logits (N, num_keypoints, 4P, 4P). A `RegionHead`.

    The loss is divided by the number of keypoints in their regions, or by `normalizer` times the number of
    images where that is given; then it is multiplied by `loss_weight`.
    """

    def __init__(
        self,
        channels: int,
        conv_dims: Sequence[int],
        num_keypoints: int,
        loss_weight: float,
        normalizer: float | None,
    ):
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for k, conv_dim in enumerate(conv_dims, 1):
            layers[f"conv_fcn{k}"] = nn.Conv2d(channels, conv_dim, 3, padding=1)
            layers[f"conv_fcn_relu{k}"] = nn.ReLU(inplace=True)
            channels = conv_dim
        layers["score_lowres"] = nn.ConvTranspose2d(channels, num_keypoints, 4, stride=2, padding=1)
        super().__init__(layers)
        self.loss_weight, self.normalizer = loss_weight, normalizer
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")

    def forward(self, pooled: Tensor) -> Tensor:
        """The logits, in single precision at least."""
        x = pooled
        *hidden, last = self
        for layer in hidden:
            x = layer(x)
        with torch.autocast(x.device.type, enabled=False):  # a softmax over 3136 cells, compared to 1e-4
            x = last(x.to(last.weight.dtype))  # type: ignore[arg-type]
            return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)

    def select(self, foreground: Sequence[Foreground], targets: Sequence[Targets]) -> list[Foreground]:
        """The foreground regions in which at least one labelled keypoint of their object lies."""
        return [f.only(_holds_a_keypoint(f, t)) for f, t in zip(foreground, targets, strict=True)]

    def losses(
        self, pooled: Tensor, foreground: Sequence[Foreground], targets: Sequence[Targets]
    ) -> dict[str, Tensor]:
        """`loss_keypoint`: cross-entropy over the cells of every keypoint in its region; 0 without any."""
        logits = self(pooled).flatten(2)  # (N, K, cells)
        side = 4 * pooled.shape[-1]
        pairs = zip(foreground, targets, strict=True)
        wanted = [keypoints_to_heatmap(_keypoints(t)[f.index], f.boxes, side) for f, t in pairs]
        cells, valid = (torch.cat(parts) for parts in zip(*wanted, strict=True))  # (N, K) each
        valid = valid > 0
        total = F.cross_entropy(logits[valid], cells[valid], reduction="sum")
        count = valid.sum().clamp(min=1) if self.normalizer is None else self.normalizer * len(targets)
        return {"loss_keypoint": total / count * self.loss_weight}

    def detect(self, pooled: Tensor, found: Sequence[Detections]) -> list[Detections]:
        """The detections with their keypoints."""
        points = heatmaps_to_keypoints(self(pooled), torch.cat([d.boxes for d in found]))
        parts = points.split([len(d.boxes) for d in found])
        return [replace(d, keypoints=p) for d, p in zip(found, parts, strict=True)]


def _holds_a_keypoint(foreground: Foreground, targets: Targets) -> Tensor:
    """(F,) bool; a keypoint on the edge of a region is in it."""
    points = _keypoints(targets)[foreground.index]  # (F, K, 3)
    low, high = foreground.boxes[:, None, :2], foreground.boxes[:, None, 2:]
    inside = ((points[..., :2] >= low) & (points[..., :2] <= high)).all(dim=-1)
    return (inside & (points[..., 2] >= 1)).any(dim=1)


def _keypoints(targets: Targets) -> Tensor:
    assert targets.keypoints is not None, "a keypoint head needs samples with keypoints"
    return targets.keypoints
