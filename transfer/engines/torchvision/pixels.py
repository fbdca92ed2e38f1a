"""Makes one normalised batch of images of unlike sizes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from transfer.errors import TransferError


class Normalizer(nn.Module):
    """(3, H_i, W_i) uint8 images -> (N, 3, H, W) normalised, zero-padded; and their sizes.

    H and W are the largest, rounded up to a multiple of `divisibility`, or both `square` where it is not 0. A
    larger image raises TransferError. Padding comes after normalisation, so
    that it is the mean colour. The numbers belong to the weights' manifest, so none is in the state dict.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], divisibility: int, square: int = 0):
        super().__init__()
        self.divisibility, self.square = divisibility, square
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Sequence[Tensor]) -> tuple[Tensor, list[tuple[int, int]]]:
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        height, width = (
            -(-max(side) // self.divisibility) * self.divisibility for side in zip(*sizes, strict=True)
        )
        if self.square:
            if max(height, width) > self.square:
                raise TransferError(
                    f"an image of {height}x{width} pixels, padded, does not fit the square of {self.square}; "
                    "lower INPUT.MAX_SIZE_TEST or raise the recipe's SQUARE_PAD"
                )
            height = width = self.square
        batch = self.mean.new_zeros((len(images), 3, height, width))
        for row, image, (h, w) in zip(batch, images, sizes, strict=True):
            row[:, :h, :w] = (image - self.mean) / self.std
        return batch.contiguous(memory_format=torch.channels_last), sizes
