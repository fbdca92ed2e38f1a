"""From heat maps to keypoints, many regions at a time.

Equals Detectron2's `heatmaps_to_keypoints`: each map is resized to its box in whole pixels by cubic
convolution, and the centre of the highest pixel is the keypoint. There one region follows the other, every
pixel through `interpolate` and `exp`; here regions of like size are resized together, by two matrix products,
and only the highest pixel gets a score.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = {"cpu": 2**18, "cuda": 2**26}  # pixels that are resized at once; on a CPU they should fit its cache
A = -0.75  # the free parameter of cubic convolution, as in `interpolate`


def heatmaps_to_keypoints(maps: Tensor, boxes: Tensor) -> Tensor:
    """Logits (R, K, S, S) over boxes (R, 4) -> (R, K, 3): x, y in the pixels of the boxes, and a score.

    The score is the probability of the highest pixel, relative to the sum over the S x S cells.
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
