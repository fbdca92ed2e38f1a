"""Computes DensePose's losses: part masks over the whole region, and patch, U and V at the labelled points.

Equals DensePoseChartLoss of Detectron2's DensePose project, its conventions included: 256 frame units to a
box side, cell k of S at k / S, and no loss at all where no labelled point falls into a region. The truth of a
person comes from `transfer.samples.densepose`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from transfer.datasets.coco.densepose import FRAME
from transfer.engines.torchvision.structures import Foreground, Targets


@dataclass(frozen=True)
class LossWeights:
    """INDEX_WEIGHTS, PART_WEIGHTS and POINT_REGRESSION_WEIGHTS."""

    coarse: float
    part: float
    points: float


@dataclass(frozen=True)
class Labels:
    """The truth of R regions with P labelled points in all, and of the O people on whom they lie."""

    regions: Tensor  # (R, 4) XYXY
    boxes: Tensor  # (R, 4) of their people
    person: Tensor  # (R,) which of the O
    coarse: Tensor  # (O, 256, 256) uint8
    region: Tensor  # (P,) which of the R
    points: dict[str, Tensor]  # x, y, part, u, v: (P,)


def gather_labels(foreground: Sequence[Foreground], targets: Sequence[Targets]) -> Labels | None:
    """Joins the labels that the regions (all on labelled people) are trained on; None without regions."""
    people: list[dict[str, Tensor]] = []
    person = []
    for regions, truth in zip(foreground, targets, strict=True):
        number = torch.full((len(truth.boxes),), -1)
        for i, densepose in enumerate(truth.densepose or ()):
            if densepose is not None:
                number[i] = len(people)
                people.append(densepose)
        person.append(number.to(regions.index.device)[regions.index])
    of_region = torch.cat(person)
    if not len(of_region):
        return None
    device = of_region.device
    counts = torch.tensor([len(p["x"]) for p in people], device=device)
    start = counts.cumsum(0) - counts
    points_of = counts[of_region]  # (R,) how many points each region has
    region = torch.arange(len(of_region), device=device).repeat_interleave(points_of)  # (P,)
    first = points_of.cumsum(0) - points_of
    which = start[of_region][region] + torch.arange(len(region), device=device) - first[region]
    joined = {
        k: torch.cat([p[k] for p in people]).to(device, non_blocking=True) for k in people[0] if k != "coarse"
    }
    return Labels(
        torch.cat([f.boxes for f in foreground]),
        torch.cat([t.boxes[f.index] for f, t in zip(foreground, targets, strict=True)]),
        of_region,
        torch.stack([p["coarse"] for p in people]).to(device, non_blocking=True),
        region,
        {name: values[which] for name, values in joined.items()},
    )


def chart_losses(
    charts: Mapping[str, Tensor], labels: Labels | None, weights: LossWeights
) -> dict[str, Tensor]:
    """Four scalars from the predictions `coarse`, `fine`, `u`, `v`, (R, channels, S, S) each."""
    size = charts["u"].shape[-1]
    seen = None if labels is None else _places(labels, size)
    if labels is None or seen is None:
        # The graph stays whole, so that every process of a distributed run has gradients to exchange.
        outputs = {"U": "u", "V": "v", "I": "fine", "S": "coarse"}
        return {f"loss_densepose_{key}": charts[name].sum() * 0 for key, name in outputs.items()}
    kept, rows, columns, shares = seen
    region = labels.region[kept][:, None]  # (K, 1)
    part = labels.points["part"][kept]
    out = {}
    for key in ("u", "v"):
        found = _blend(charts[key][region, part[:, None], rows, columns], shares)  # (K,), of the true patch
        wanted = labels.points[key][kept].to(found.dtype)
        out[f"loss_densepose_{key.upper()}"] = (
            F.smooth_l1_loss(found, wanted, reduction="sum") * weights.points
        )
    scores = _blend(charts["fine"].movedim(1, -1)[region, rows, columns], shares[..., None])  # (K, patches)
    out["loss_densepose_I"] = F.cross_entropy(scores, part) * weights.part
    coarse = charts["coarse"]
    truth = coarse_labels(labels, size).clamp(max=coarse.shape[1] - 1)  # two channels: body or not
    out["loss_densepose_S"] = F.cross_entropy(_at_least_float(coarse), truth) * weights.coarse
    return out


def _blend(cells: Tensor, shares: Tensor) -> Tensor:
    """(K, 4, ...) cells and their weights -> (K, ...)."""
    return (_at_least_float(cells) * shares).sum(dim=1)


def _at_least_float(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _places(labels: Labels, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
    """Where the points lie in the charts: indices (K,) of those inside; rows, columns and weights (K, 4)."""
    axes = []
    inside = torch.ones_like(labels.region, dtype=torch.bool)
    for axis, key in enumerate(("x", "y")):
        start, length = _span(labels.regions, axis)
        origin, extent = _span(labels.boxes, axis)
        start, length, origin, extent = (v[labels.region] for v in (start, length, origin, extent))
        offset = origin + labels.points[key] * extent / FRAME - start
        inside &= (offset >= 0) & (offset < length)
        at = offset * size / length
        low = at.floor().long().clamp(0, size - 1)
        high = (low + 1).clamp(max=size - 1)
        axes.append((low, high, at - low))
    kept = inside.nonzero().squeeze(1)
    if not len(kept):
        return None
    (left, right, x), (top, bottom, y) = [tuple(v[kept] for v in axis) for axis in axes]
    rows = torch.stack([top, top, bottom, bottom], dim=1)
    columns = torch.stack([left, right, left, right], dim=1)
    shares = torch.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], dim=1)
    return kept, rows, columns, shares


@torch.no_grad()
def coarse_labels(labels: Labels, size: int) -> Tensor:
    """(R, size, size) int64: the people's part masks seen from the regions, the nearest cell, 0 outside.

    The order of operations is that of `grid_sample` with aligned corners: half-way cases are common, because
    the person's own box is among the regions.
    """
    steps = torch.arange(size, device=labels.regions.device, dtype=torch.float32) / size
    index, inside = [], []
    for axis in (1, 0):  # rows, then columns
        start, length = _span(labels.regions, axis)
        origin, extent = _span(labels.boxes, axis)
        low = 2 * (start - origin) / extent - 1
        high = 2 * (start + length - origin) / extent - 1
        at = steps * (high - low)[:, None] + low[:, None]  # (R, size), the person's box being [-1, 1]
        cell = ((at + 1) / 2 * (FRAME - 1)).round().long()
        inside.append((cell >= 0) & (cell < FRAME))
        index.append(cell.clamp(0, FRAME - 1))
    rows, columns = index
    found = labels.coarse[labels.person[:, None, None], rows[:, :, None], columns[:, None, :]]
    return found.long() * (inside[0][:, :, None] & inside[1][:, None, :])


def _span(boxes: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Start and length of (N, 4) boxes along x (0) or y (1)."""
    return boxes[:, axis], boxes[:, axis + 2] - boxes[:, axis]
