"""Draws a person whose 17 keypoints and dense surface coordinates are known exactly.

The body is a set of capsules. A capsule is one of DensePose's 24 surface patches; on it U runs along the
limb and V across, both from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transfer.datasets.synthetic.texture import mix

# The person faces the camera, so its left is on the right of the image. Of each joint x and y in the unit
# square, then how far it may move.
# fmt: off
_JOINTS = np.array([
    (0.50, 0.09, 0.01), (0.54, 0.07, 0.00), (0.46, 0.07, 0.00),  # nose, eyes
    (0.58, 0.08, 0.00), (0.42, 0.08, 0.00),  # ears
    (0.68, 0.23, 0.02), (0.32, 0.23, 0.02),  # shoulders
    (0.80, 0.38, 0.05), (0.20, 0.38, 0.05),  # elbows
    (0.86, 0.52, 0.06), (0.14, 0.52, 0.06),  # wrists
    (0.60, 0.54, 0.02), (0.40, 0.54, 0.02),  # hips
    (0.62, 0.74, 0.04), (0.38, 0.74, 0.04),  # knees
    (0.64, 0.92, 0.04), (0.36, 0.92, 0.04),  # ankles
])
_LEFT_SHOULDER, _RIGHT_SHOULDER, _LEFT_HIP, _RIGHT_HIP = 5, 6, 11, 12
# Patch, from joint, to joint, radius over the height; in painting order.
_LIMBS = (
    (18, 6, 8, 0.030), (22, 8, 10, 0.026), (17, 5, 7, 0.030), (21, 7, 9, 0.026),
    (9, 12, 14, 0.042), (13, 14, 16, 0.034), (10, 11, 13, 0.042), (14, 13, 15, 0.034),
)
# Hands and feet: patch, joint, radius over the height.
_ENDS = ((3, 10, 0.030), (4, 9, 0.030), (6, 16, 0.034), (5, 15, 0.034))
# fmt: on
# Patch -> coarse body part, 0 being the background.
COARSE_OF = np.array([0, 1, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9, 10, 11, 10, 11, 12, 13, 12, 13, 14, 14])
# Bands along U of each patch: hands, feet and head have a light and a dark half.
_BANDS = np.array([0, 3, 3, 1, 1, 1, 1, 3, 3, 4, 4, 3, 3, 4, 4, 2, 2, 3, 3, 2, 2, 3, 3, 1, 1])


@dataclass
class Figure:
    """keypoints: (17, 2) continuous x, y. part: (H, W) uint8 patch 0..24. uv: (2, H, W) float32."""

    keypoints: np.ndarray
    part: np.ndarray
    uv: np.ndarray


def draw_figure(
    rng: np.random.Generator, box: tuple[float, float, float, float], width: int, height: int
) -> Figure:
    """Draws a person that about fills `box` (x0, y0, x1, y1) in an image of that size."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    unit = _JOINTS[:, :2] + rng.uniform(-1, 1, (17, 2)) * _JOINTS[:, 2:]
    joints = np.array([x0, y0]) + unit * np.array([w, h])
    joints = np.clip(joints, 1.0, [width - 1.001, height - 1.001])
    figure = Figure(joints, np.zeros((height, width), np.uint8), np.zeros((2, height, width), np.float32))
    for patch, a, b, radius in _LIMBS:
        _capsule(figure, patch, joints[a], joints[b], max(radius * h, 1.5))
    for patch, joint, radius in _ENDS:
        end = joints[joint]
        _capsule(figure, patch, end, end + np.array([0.0, 0.02 * h]), max(radius * h, 1.5))
    top = (joints[_LEFT_SHOULDER] + joints[_RIGHT_SHOULDER]) / 2
    bottom = (joints[_LEFT_HIP] + joints[_RIGHT_HIP]) / 2
    _capsule(figure, 2, top, bottom, max(0.17 * w, 2.0))
    nose = joints[0]
    _capsule(
        figure, 24, nose + np.array([0.005 * w, -0.01 * h]), nose + np.array([0.03 * w, 0.02 * h]), 0.085 * h
    )
    _split_head(figure)
    return figure


def _split_head(figure: Figure) -> None:
    """Makes the right half of the head (left in the image) patch 23, with U downwards and V across.

    The mirror of patch 23 is 24: a head of one patch would have two truths once training images are flipped.
    """
    rows, columns = np.nonzero(figure.part == 24)
    if len(rows):
        top, left = rows.min(), columns.min()
        figure.uv[0][rows, columns] = (rows - top + 0.5) / (rows.max() - top + 1)
        figure.uv[1][rows, columns] = across = 1 - (columns - left + 0.5) / (columns.max() - left + 1)
        figure.part[rows[across > 0.5], columns[across > 0.5]] = 23


def _capsule(figure: Figure, patch: int, a: np.ndarray, b: np.ndarray, radius: float) -> None:
    """Paints all pixels whose centre is within `radius` of the segment a-b."""
    height, width = figure.part.shape
    low = np.maximum(np.floor(np.minimum(a, b) - radius), 0).astype(int)
    high = np.minimum(np.ceil(np.maximum(a, b) + radius) + 1, [width, height]).astype(int)
    x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
    axis = b - a
    length = max(float(np.hypot(*axis)), 1e-6)
    direction = axis / length
    along = (x - a[0]) * direction[0] + (y - a[1]) * direction[1]
    across = (y - a[1]) * direction[0] - (x - a[0]) * direction[1]
    beyond = np.maximum(np.maximum(-along, along - length), 0)
    inside = np.hypot(beyond, across) <= radius
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    figure.part[window][inside] = patch
    u = (along + radius) / (length + 2 * radius)
    v = (across + radius) / (2 * radius)
    figure.uv[0][window][inside] = np.clip(u, 0, 1)[inside]
    figure.uv[1][window][inside] = np.clip(v, 0, 1)[inside]


def dress(rng: np.random.Generator, figure: Figure, pixels: np.ndarray) -> None:
    """Paints the figure into (H, W, 3) float pixels: bands across every patch, in two random colours.

    The bands follow the surface: they say where a point is, and the colours, the same everywhere, do not.
    """
    where = figure.part > 0
    pattern = np.cos(2 * np.pi * (_BANDS[figure.part[where]] * figure.uv[0][where] + 0.25))
    pixels[where] = mix(rng, pattern[None])[0]
