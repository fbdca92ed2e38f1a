"""Computes aligned RoIAlign, on small maps by two matrix products a RoI: faster on a CPU and deterministic.

Bilinear sampling of an axis-aligned box is separable: out = rows @ map @ columns^T. The library's kernel runs
its CPU backward on one thread and its CUDA backward in no fixed order; it stays the oracle of the test and
the choice for large maps, where the products would cost more than they save.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import roi_align as kernel

from transfer.engines.torchvision.backbones.layers import channels_last_gradient

# Where it won (benchmarks/perf/roi_align.py): height * width of the map, and entries of the product between,
# which is kept for the backward pass.
SMALL_MAP, MOST_ENTRIES = 2304, 2**26


def roi_align(
    features: Tensor,
    boxes: Sequence[Tensor],
    size: int,
    scale: float,
    sampling_ratio: int,
    aligned: bool = True,
) -> Tensor:
    """(N, C, H, W) and per image (R_i, 4) boxes in image pixels -> (sum R_i, C, size, size),
    channels_last, as is the gradient of the features."""
    channels, height, width = features.shape[1:]
    entries = max((len(b) for b in boxes), default=0) * size * width * channels
    if features.device.type == "cpu" and height * width <= SMALL_MAP and entries <= MOST_ENTRIES:
        return separable_roi_align(features, boxes, size, scale, sampling_ratio, aligned)
    features = channels_last_gradient(features)  # the kernel gives the other
    wide = torch.promote_types(features.dtype, torch.float32)  # bfloat16 steps by 8 pixels above 1024
    with torch.autocast(features.device.type, enabled=False):
        rois = [b.to(wide) for b in boxes]
        pooled: Tensor = kernel(features.to(wide), rois, size, scale, sampling_ratio, aligned)
    return pooled.to(features.dtype, memory_format=torch.channels_last)


def separable_roi_align(
    features: Tensor,
    boxes: Sequence[Tensor],
    size: int,
    scale: float,
    sampling_ratio: int,
    aligned: bool = True,
) -> Tensor:
    """The same function as `torchvision.ops.roi_align`.

    Without `aligned` pixel centres lie at whole numbers and no box is smaller than one cell (legacy).
    """
    channels, height, width = features.shape[1:]
    pooled = []
    for feature, rois in zip(features.permute(0, 2, 3, 1), boxes, strict=True):  # (H, W, C)
        rois = rois.to(torch.promote_types(feature.dtype, torch.float32)) * scale
        if aligned:
            rois = rois - 0.5
        else:
            rois = torch.cat([rois[:, :2], torch.maximum(rois[:, 2:], rois[:, :2] + 1)], dim=1)
        rows = _weights(rois[:, 1], rois[:, 3], size, height, sampling_ratio).to(feature.dtype)  # (R, P, H)
        columns = _weights(rois[:, 0], rois[:, 2], size, width, sampling_ratio).to(feature.dtype)  # (R, P, W)
        x = feature.reshape(height, width * channels)
        x = (rows.reshape(-1, height) @ x).reshape(-1, size, width, channels)  # (R, P, W, C)
        pooled.append(columns[:, None] @ x)  # (R, P, P, C)
    return torch.cat(pooled).permute(0, 3, 1, 2)


def _weights(start: Tensor, end: Tensor, size: int, length: int, sampling_ratio: int) -> Tensor:
    """(R, size, length): how much each cell of one axis adds to each output bin."""
    bin_length = (end - start) / size  # (R,)
    samples = torch.full_like(bin_length, sampling_ratio) if sampling_ratio > 0 else bin_length.ceil()
    most = max(int(samples.max()), 1) if len(samples) else 1
    k = torch.arange(most, device=start.device)
    bins = torch.arange(size, device=start.device)
    offsets = (k + 0.5) / samples.clamp(min=1)[:, None]  # (R, K) in bins
    points = (
        start[:, None, None] + (bins[:, None] + offsets[:, None, :]) * bin_length[:, None, None]
    )  # (R, size, K)
    counted = (k < samples[:, None])[:, None, :] & (points >= -1) & (points <= length)
    points = points.clamp(0, length - 1)
    cells = torch.arange(length, device=start.device)
    hat = (1 - (points[..., None] - cells).abs()).clamp(min=0)  # bilinear weights of the two neighbours
    return (hat * counted[..., None]).sum(dim=2) / samples.clamp(min=1)[:, None, None]
