"""Augments one view on the CPU, in uint8 like the published PIL pipeline, by OpenCV's faster kernels.

Every function takes and returns uint8 HxWx3 RGB. OpenCV and torch let other threads run while they work.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from pretrain.images.draws import View


def resized_crop(pixels: np.ndarray, box: tuple[int, int, int, int], size: int) -> np.ndarray:
    """Resizes the box (top, left, height, width) to size x size, bilinear with antialiasing as PIL does."""
    top, left, height, width = box
    part = torch.from_numpy(pixels)[top : top + height, left : left + width]
    image = part.permute(2, 0, 1)[None]  # a channels_last view: the kernel for it works on uint8 directly
    resized = F.interpolate(image, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized[0].permute(1, 2, 0).numpy()


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


def _look_up(pixels: np.ndarray, table: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.LUT(pixels, np.clip(table, 0, 255).astype(np.uint8))  # truncates, as PIL's blend does


JITTER = (brightness, contrast, saturation, hue)
