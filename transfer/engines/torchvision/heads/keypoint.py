"""Finds keypoints by one heat map each: Mask R-CNN's head (He et al., arXiv 1703.06870, section 5).

Differs from torchvision's `KeypointRCNNHeads` and predictor: in Detectron2, with whose
KRCNNConvDeconvUpsampleHead the parameter names are shared, regions without a visible keypoint are left out
and the loss can be normalised by what a full batch would hold.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import keypoints_to_heatmap

from transfer.engines.torchvision.structures import Detections, Foreground, Targets

CHUNK = {"cpu": 2**18, "cuda": 2**26}  # pixels that are resized at once; on a CPU they should fit its cache
A = -0.75  # the free parameter of cubic convolution, as in `interpolate`


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


def heatmaps_to_keypoints(maps: Tensor, boxes: Tensor) -> Tensor:
    """Logits (R, K, S, S) over boxes (R, 4) -> (R, K, 3): x, y in the pixels of the boxes, and a score.

    Equals Detectron2's function of this name: each map is resized to its box in whole pixels by cubic
    convolution, and the centre of the highest pixel is the keypoint. There one region follows the other,
    every pixel through `interpolate` and `exp`; here regions of like size are resized together, by two matrix
    products, and only the highest pixel gets a score: its probability, relative to the S x S cells' sum.
    """
    count, kinds = maps.shape[:2]
    extent = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)  # (R, 2) width, height
    pixels = extent.ceil()
    out = maps.new_zeros(count, kinds, 3)
    for group in _groups(pixels.long(), kinds, CHUNK.get(maps.device.type, CHUNK["cpu"])):
        peak, best = _highest(maps[group], pixels[group])  # (n, K), (n, K, 2)
        scale, corner = (extent / pixels)[group], boxes[group, :2]
        out[group, :, :2] = (best + 0.5) * scale[:, None] + corner[:, None]
        out[group, :, 2] = 1 / (maps[group] - peak[..., None, None]).exp().sum(dim=(2, 3))
    return out


def _groups(pixels: Tensor, kinds: int, most: int) -> list[Tensor]:
    """Indices of regions in groups of like size, each within `most` pixels when padded to its largest."""
    sizes = pixels.tolist()
    groups: list[list[int]] = []
    width = height = 0
    for region in sorted(range(len(sizes)), key=sizes.__getitem__):
        width, height = max(width, sizes[region][0]), max(height, sizes[region][1])
        if not groups or (len(groups[-1]) + 1) * kinds * width * height > most:
            groups.append([])
            width, height = sizes[region]
        groups[-1].append(region)
    return [torch.tensor(group, device=pixels.device) for group in groups]


def _highest(maps: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Value (n, K) and pixel x, y (n, K, 2) of the maximum of every map, resized to (n, 2) width, height."""
    n, kinds, side, _ = maps.shape
    across = _weights(pixels[:, 0], side, maps)  # (n, W, S)
    down = _weights(pixels[:, 1], side, maps)  # (n, H, S)
    x = (maps.reshape(n, kinds * side, side) @ across.transpose(1, 2)).unflatten(1, (kinds, side))
    x = down[:, None] @ x  # (n, K, H, W)
    peak, row = x.amax(dim=3).max(dim=2)  # the first of equally high rows, and in it the first pixel
    of_row = x.gather(2, row[..., None, None].expand(-1, -1, 1, x.shape[3])).squeeze(2)
    place = torch.stack([of_row.argmax(dim=2), row], dim=2)
    # A repeated pixel can round a little higher than the one that it repeats.
    return peak, place.minimum(pixels[:, None].long() - 1)


def _weights(lengths: Tensor, side: int, like: Tensor) -> Tensor:
    """(n, longest, side): cubic convolution from `side` cells to lengths (n,) pixels, the last one repeated.

    Cells beyond the edge have the value of the edge.
    """
    pixel = torch.arange(int(lengths.max()), device=like.device, dtype=like.dtype)
    pixel = pixel.minimum(lengths[:, None] - 1)
    place = (pixel + 0.5) * (side / lengths)[:, None] - 0.5  # in cells
    cells = torch.arange(-2, side + 2, device=like.device, dtype=like.dtype)
    d = (place[..., None] - cells).abs()
    near = ((A + 2) * d - (A + 3)) * d * d + 1
    far = ((A * d - 5 * A) * d + 8 * A) * d - 4 * A
    weights = torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))
    first, inner, last = weights.split([2, side, 2], dim=2)
    inner[..., 0] += first.sum(dim=2)
    inner[..., -1] += last.sum(dim=2)
    return inner
