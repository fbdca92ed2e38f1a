"""Defines a head that classifies pixels, for both engines: maps of a backbone in, logits and losses out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Size = tuple[int, int]  # (height, width)
LOSS = "loss_sem_seg"


class ClassMapHead(nn.Module):
    """Classifies (N, C_i, h_i, w_i) by name, its `features`; subclasses have `logits`, (N, K, h, w).

    Upsampling and loss are those of mmsegmentation, from which the recipes of these heads come.
    """

    def __init__(self, channels: Mapping[str, int], ignore: int):
        super().__init__()
        self.features, self.ignore = tuple(channels), ignore

    def forward(self, maps: Mapping[str, Tensor]) -> Tensor:
        return self.logits(maps)

    def logits(self, maps: Mapping[str, Tensor]) -> Tensor:
        raise NotImplementedError

    def losses(self, maps: Mapping[str, Tensor], image: Size, classes: Tensor) -> dict[str, Tensor]:
        """Computes the losses of images of the size `image` against classes (N, H, W), by name."""
        return {LOSS: self.judged(self.logits(maps), image, classes)}

    def judged(self, logits: Tensor, image: Size, classes: Tensor) -> Tensor:
        """Computes the loss of logits (N, K, h, w), upsampled, against classes (N, H, W)."""
        return self.loss(self.upsampled(logits, image, (classes.shape[1], classes.shape[2])), classes)

    def upsampled(self, logits: Tensor, image: Size, kept: Size) -> Tensor:
        """Logits (N, K, h, w) of images of the size `image` -> (N, K, *kept), what lies beyond cut off.

        Bilinear, with the pixels' own corners, in single precision at least.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return resized(logits, image)[..., : kept[0], : kept[1]]

    def loss(self, logits: Tensor, classes: Tensor) -> Tensor:
        """The cross-entropy of (N, K, H, W) against (N, H, W), averaged over all pixels of the crops.

        One that is not judged counts with a loss of 0, as in mmsegmentation and DINOv3.
        """
        total = F.cross_entropy(logits, classes.long(), ignore_index=self.ignore, reduction="sum")
        return total / classes.numel()


def resized(one: Tensor, size: Size | torch.Size) -> Tensor:
    """(N, C, h, w) -> (N, C, *size), bilinearly, corners not aligned; the tensor itself where it fits."""
    if one.shape[-2:] == tuple(size):
        return one
    return F.interpolate(one, tuple(size), mode="bilinear", align_corners=False)
