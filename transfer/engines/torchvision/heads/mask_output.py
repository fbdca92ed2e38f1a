"""From mask probabilities over boxes to masks of the image, and to the run lengths of a prediction.

Equals Detectron2's `paste_masks_in_image`: a pixel is in the mask where the bilinear sample at its centre
reaches 0.5, with zeros around the mask. That sampling is separable on an axis-aligned box, so it is two small
matrix products here instead of a general `grid_sample`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from transfer.datasets.coco.rle import encode
from transfer.engines.torchvision.structures import Detections

CHUNK = 2**26  # pixels of all masks that are pasted at once: 256 MB in single precision


def output_masks(found: Detections, size: tuple[int, int]) -> list[dict[str, Any]] | None:
    """The `masks` of a Prediction: D run-length dicts of an image of `size` (height, width)."""
    if found.masks is None:
        return None
    at_once = max(CHUNK // (size[0] * size[1]), 1)
    parts = zip(found.masks.split(at_once), found.boxes.split(at_once), strict=True)
    return [rle for masks, boxes in parts for rle in encode(paste_masks(masks, boxes, size).cpu().numpy())]


def paste_masks(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Probabilities (D, S, S) over boxes (D, 4) -> (D, H, W) bool of an image of `size` (height, width).

    The result lies column by column in memory, as the run lengths want it.
    """
    height, width = size
    out = torch.zeros(len(masks), width, height, dtype=torch.bool, device=masks.device)
    if masks.device.type == "cpu":  # one by one, each only in the pixels of its box
        low, high = boxes[:, :2].floor().clamp(min=0), boxes[:, 2:].ceil()
        for n, (x0, y0, x1, y1) in enumerate(torch.cat([low, high], dim=1).long().tolist()):
            columns, rows = range(x0, min(x1, width)), range(y0, min(y1, height))
            out[n, x0:x1, y0:y1] = _sample(masks[n : n + 1], boxes[n : n + 1], columns, rows)[0]
        return out.transpose(1, 2)
    at_once = max(CHUNK // (height * width), 1)
    for start in range(0, len(masks), at_once):
        part = slice(start, start + at_once)
        out[part] = _sample(masks[part], boxes[part], range(width), range(height))
    return out.transpose(1, 2)


def _sample(masks: Tensor, boxes: Tensor, columns: range, rows: range) -> Tensor:
    """(D, columns, rows) bool: the masks at the centres of these pixels."""
    across = _weights(boxes[:, 0], boxes[:, 2], columns, masks)  # (D, W, S)
    down = _weights(boxes[:, 1], boxes[:, 3], rows, masks)  # (D, H, S)
    return across @ (masks.transpose(1, 2) @ down.transpose(1, 2)) >= 0.5


def _weights(start: Tensor, end: Tensor, pixels: range, masks: Tensor) -> Tensor:
    """(D, pixels, S): how much each cell of one axis adds to each pixel."""
    side = masks.shape[-1]
    centres = torch.arange(pixels.start, pixels.stop, device=masks.device, dtype=masks.dtype) + 0.5
    # In cells, by way of [-1, 1] as in `grid_sample`: the same rounding decides pixels that lie between.
    places = (((centres - start[:, None]) / (end - start)[:, None] * 2 - 1 + 1) * side - 1) / 2
    cells = torch.arange(side, device=masks.device, dtype=masks.dtype)
    return (1 - (places[..., None] - cells).abs()).clamp(min=0)
