"""Encodes boxes as the deltas that both stages learn (Girshick et al., arXiv 1311.2524, appendix C).

Equal to the bit to torchvision's BoxCoder, which is private.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Weights = tuple[float, float, float, float]  # of x, y, width, height

MOST = math.log(1000 / 16)  # of a predicted log-ratio, so that no box is infinitely large


def encode(wanted: Tensor, boxes: Tensor, weights: Weights) -> Tensor:
    """Returns the deltas (R, 4) that lead from boxes (R, 4) to the wanted ones (R, 4)."""
    size, centre = _size_and_centre(boxes)
    wanted_size, wanted_centre = _size_and_centre(wanted)
    factors = wanted.new_tensor(weights)
    shift = factors[:2] * (wanted_centre - centre) / size
    return torch.cat([shift, factors[2:] * torch.log(wanted_size / size)], dim=1)


def decode(deltas: Tensor, boxes: Tensor, weights: Weights) -> Tensor:
    """Returns the boxes (R, K, 4) to which deltas (R, K, 4) lead from boxes (R, 4)."""
    size, centre = (part[:, None] for part in _size_and_centre(boxes.to(deltas.dtype)))
    # Each by its own number: a GPU divides by a number otherwise than by a tensor.
    x, y, width, height = (delta / w for delta, w in zip(deltas.unbind(dim=-1), weights, strict=True))
    middle = torch.stack([x, y], dim=-1) * size + centre
    half = torch.stack([width, height], dim=-1).clamp(max=MOST).exp() * size * 0.5
    return torch.cat([middle - half, middle + half], dim=-1)


def _size_and_centre(boxes: Tensor) -> tuple[Tensor, Tensor]:
    size = boxes[:, 2:] - boxes[:, :2]
    return size, boxes[:, :2] + 0.5 * size
