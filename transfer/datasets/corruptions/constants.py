"""Lists the fifteen corruptions of ImageNet-C and what their five severities are, as published.

Source: hendrycks/robustness @e0377d4, ImageNet-C/create_c/make_imagenet_c.py. Lengths are in pixels of an
image of 224; the elastic ones are multiples of 244 there, "should have been 224".
"""

from __future__ import annotations

from typing import Any

import numpy as np

SIDE = 224  # of the images that the lengths below belong to
SEVERITIES = (1, 2, 3, 4, 5)
SAVED_QUALITY = 85  # of the JPEG files in which the published images are kept
_ELASTIC = 244

GROUPS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
NAMES = tuple(name for names in GROUPS.values() for name in names)

PUBLISHED: dict[str, tuple[Any, ...]] = {
    # standard deviation, of values from 0 to 1
    "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),
    # photons of a value of 1
    "shot_noise": (60, 25, 12, 5, 3),
    # share of the values that become 0 or 1
    "impulse_noise": (0.03, 0.06, 0.09, 0.17, 0.27),
    # radius of the disc, deviation of the blur that smooths its edge
    "defocus_blur": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    # deviation of the blur before and after, farthest pixel that is taken, passes
    "glass_blur": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    # radius, deviation along the way
    "motion_blur": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    # magnifications whose mean is taken
    "zoom_blur": (
        np.arange(1, 1.11, 0.01),
        np.arange(1, 1.16, 0.01),
        np.arange(1, 1.21, 0.02),
        np.arange(1, 1.26, 0.02),
        np.arange(1, 1.31, 0.03),
    ),
    # mean and deviation of the flakes, their magnification, what is less is none, radius and deviation of
    # their way, share of the image that is left
    "snow": (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
    # share of the image, share of the frost
    "frost": ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
    # share of the fog, how fast its detail fades
    "fog": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    # added to the value of HSV
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
    # what is left of the distance from the mean
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
    # length of the displacements, deviation of their blur, farthest corner of the affine change
    "elastic_transform": (
        (_ELASTIC * 2, _ELASTIC * 0.7, _ELASTIC * 0.1),
        (_ELASTIC * 2, _ELASTIC * 0.08, _ELASTIC * 0.2),
        (_ELASTIC * 0.05, _ELASTIC * 0.01, _ELASTIC * 0.02),
        (_ELASTIC * 0.07, _ELASTIC * 0.01, _ELASTIC * 0.02),
        (_ELASTIC * 0.12, _ELASTIC * 0.01, _ELASTIC * 0.02),
    ),
    # share of the side's pixels that are left
    "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),
    # quality
    "jpeg_compression": (25, 18, 15, 10, 7),
}
