"""Changes the colours of a training image at random: brightness, contrast, saturation and hue.

SSD's distortion as mmsegmentation and Detectron2's PointRend project have it (INPUT.COLOR_AUG_SSD): each of
the four comes with probability 1/2, and contrast either before or behind saturation and hue.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

BRIGHTNESS = 32.0  # levels, either way
FACTORS = (0.5, 1.5)  # of contrast and of saturation
HUE = 0.1  # of the circle, either way: 18 of OpenCV's 180 degrees


def distorted(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns other colours for (H, W, 3) uint8 RGB; after every change they are uint8 again."""
    if rng.random() < 0.5:
        pixels = _levels(pixels.astype(np.float32) + rng.uniform(-BRIGHTNESS, BRIGHTNESS))
    contrast = rng.uniform(*FACTORS) if rng.random() < 0.5 else 1.0
    first = rng.random() < 0.5
    if first and contrast != 1:
        pixels = _levels(pixels * np.float32(contrast))
    saturation = rng.uniform(*FACTORS) if rng.random() < 0.5 else 1.0
    hue = rng.uniform(-HUE, HUE) if rng.random() < 0.5 else 0.0
    if saturation != 1 or hue:
        pixels = _hue_and_saturation(pixels, hue, saturation)
    if not first and contrast != 1:
        pixels = _levels(pixels * np.float32(contrast))
    return pixels


def _hue_and_saturation(pixels: np.ndarray, hue: float, saturation: float) -> np.ndarray:
    """Turns the hue by a share of the circle and multiplies the saturation."""
    hsv = np.array(Image.fromarray(pixels).convert("HSV"))
    hsv[..., 0] += np.uint8(round(hue * 256) % 256)  # 256 levels are the circle, so it wraps around
    hsv[..., 1] = _levels(hsv[..., 1] * np.float32(saturation))
    return np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"))


def _levels(values: np.ndarray) -> np.ndarray:
    return values.clip(0, 255).astype(np.uint8)
