"""Computes what FCN-16s needs in both engines: Detectron2 has nothing of its own to be equal to.

The paper says neither how logits are upsampled nor how pixels are weighted. Assumed is what DeepLab does,
whose recipe the authors followed: corners aligned, and the mean over the pixels that are judged.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def upsampled(logits: Tensor, stride: int, height: int, width: int) -> Tensor:
    """Upsamples (N, C, h, w) to (N, C, height, width), bilinearly, in single precision at least.

    h is ceil(height / stride) or more, w alike. Cell i of strided, symmetrically padded convolutions is
    centred on pixel stride * i, so pixel p gets the value at p / stride; beyond the last centre the last cell
    is repeated. Where height is a multiple of the stride and one, like DeepLab's crops, this is interpolation
    with aligned corners.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    needed = [-(-(side - 1) // stride) + 1 for side in (height, width)]  # cells
    beyond = [max(0, n - side) for n, side in zip(needed, logits.shape[-2:], strict=True)]
    if any(beyond):
        logits = F.pad(logits, (0, beyond[1], 0, beyond[0]), mode="replicate")
    size = [(n - 1) * stride + 1 for n in needed]
    full = F.interpolate(logits[..., : needed[0], : needed[1]], size, mode="bilinear", align_corners=True)
    return full[..., :height, :width]


def mean_cross_entropy(logits: Tensor, classes: Tensor, ignore: int) -> Tensor:
    """Averages over judged pixels of (N, C, H, W) logits against (N, H, W) classes; 0 if none is judged.

    torch's own mean is 0/0 there, which would end a run for one batch of unlabelled crops.
    """
    classes = classes.long()
    total = F.cross_entropy(logits, classes, ignore_index=ignore, reduction="sum")
    return total / (classes != ignore).sum().clamp(min=1)
