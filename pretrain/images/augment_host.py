"""Augments one view on the CPU, in uint8 like the published PIL pipeline, by OpenCV's faster kernels.

Every function takes and returns uint8 HxWx3 RGB. OpenCV and torch let other threads run while they work.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pretrain.images.draws import View


def resized_crop(
    pixels: np.ndarray, box: tuple[int, int, int, int], size: int, bicubic: bool = False
) -> np.ndarray:
    """Resizes the box (top, left, height, width) to size x size with antialiasing, as PIL does."""
    out = torch.empty((size, size, 3), dtype=torch.uint8)
    resize_into(out, pixels, box, bicubic)
    return out.numpy()


def resize_into(
    out: Tensor, pixels: np.ndarray, box: tuple[int, int, int, int], bicubic: bool = False
) -> None:
    """Does what `resized_crop` does, to the size of `out` (uint8 HxWx3) and into it.

    The operation behind `torch.nn.functional.interpolate` is called, which itself cannot write in place: the
    copy of a small image takes as long as the resizing, and keeps the interpreter from the other threads.
    """
    top, left, height, width = box
    part = torch.from_numpy(pixels[top : top + height, left : left + width])
    # channels_last views: the kernel for them works on uint8 directly
    image, target = part.permute(2, 0, 1).unsqueeze(0), out.permute(2, 0, 1).unsqueeze(0)
    (_BICUBIC if bicubic else _BILINEAR)(image, list(out.shape[:2]), False, out=target)


def augment(pixels: np.ndarray, view: View, steps: tuple[str, ...]) -> np.ndarray:
    """Applies the colour steps in the recipe's order, then the flip."""
    import cv2

    for step in steps:
        if step == "jitter":
            for operation, factor in view.jitter:
                pixels = JITTER[operation](pixels, factor)
        elif step == "gray" and view.gray:
            pixels = grayscale(pixels)
        elif step == "blur" and view.sigma:
            pixels = blur(pixels, view.sigma)
        elif step == "solarise" and view.solarise:
            pixels = solarise(pixels)
    return cv2.flip(pixels, 1) if view.flip else pixels


def brightness(pixels: np.ndarray, factor: float) -> np.ndarray:
    return _look_up(pixels, np.arange(256) * factor)


def contrast(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Blends with the mean of the grayscale image, rounded to a whole level as PIL does."""
    import cv2

    mean = int(cv2.mean(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))[0] + 0.5)
    return _look_up(pixels, mean + factor * (np.arange(256) - mean))


def saturation(pixels: np.ndarray, factor: float) -> np.ndarray:
    import cv2

    return cv2.addWeighted(pixels, factor, grayscale(pixels), 1 - factor, 0)


def hue(pixels: np.ndarray, shift: float) -> np.ndarray:
    """Rotates the hue by `shift` turns (-0.5 to 0.5), in 8-bit HSV."""
    import cv2

    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(int(shift * 255) % 256)  # wraps around, as the colour circle does
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def grayscale(pixels: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    import cv2

    return cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def solarise(pixels: np.ndarray) -> np.ndarray:
    """Inverts the levels from 128 on."""
    levels = np.arange(256)
    return _look_up(pixels, np.where(levels < 128, levels, 255 - levels))


def _look_up(pixels: np.ndarray, table: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.LUT(pixels, np.clip(table, 0, 255).astype(np.uint8))  # truncates, as PIL's blend does


_BILINEAR = torch.ops.aten._upsample_bilinear2d_aa.out
_BICUBIC = torch.ops.aten._upsample_bicubic2d_aa.out
JITTER = (brightness, contrast, saturation, hue)
