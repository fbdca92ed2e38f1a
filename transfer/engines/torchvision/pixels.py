"""Makes one normalised batch of images of unlike sizes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalizer(nn.Module):
    """(3, H_i, W_i) uint8 images -> (N, 3, H, W) normalised, zero-padded; and their sizes.

    H and W are the largest, rounded up to a multiple of `divisibility`. Padding comes after normalisation, so
    that it is the mean colour. The numbers belong to the weights' manifest, so none is in the state dict.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], divisibility: int):
        super().__init__()
        self.divisibility = divisibility
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Sequence[Tensor]) -> tuple[Tensor, list[tuple[int, int]]]:
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        height, width = (
            -(-max(side) // self.divisibility) * self.divisibility for side in zip(*sizes, strict=True)
        )
        batch = self.mean.new_zeros((len(images), 3, height, width))
        for row, image, (h, w) in zip(batch, images, sizes, strict=True):
            row[:, :h, :w] = (image - self.mean) / self.std
        return batch.contiguous(memory_format=torch.channels_last), sizes
