"""Random colours: each of the four changes by itself, against the standard library's HSV."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from transfer.samples.colours import HUE, distorted


class _Dice:
    """Gives coins in their order (below 0.5 is yes), and the same part of every range."""

    def __init__(self, coins: list[bool], part: float):
        self.coins, self.part = coins, part

    def random(self) -> float:
        return 0.0 if self.coins.pop(0) else 0.9

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.part


# Coins: brightness, contrast, contrast first, saturation, hue.
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def _changed(*coins: bool, part: float) -> np.ndarray:
    return distorted(PIXELS, _Dice(list(coins), part)).astype(float)  # type: ignore[arg-type]


def test_nothing_changes_where_no_coin_falls() -> None:
    np.testing.assert_array_equal(_changed(False, False, False, False, False, part=1.0), PIXELS)


def test_brightness_adds_and_contrast_multiplies() -> None:
    brighter = _changed(True, False, False, False, False, part=1.0)
    np.testing.assert_array_equal(brighter, np.minimum(PIXELS.astype(float) + 32, 255))
    for first in (True, False):
        weaker = _changed(False, True, first, False, False, part=0.0)
        np.testing.assert_array_equal(weaker, np.floor(PIXELS * 0.5))
    both = _changed(True, True, False, False, False, part=1.0)
    np.testing.assert_array_equal(both, np.minimum(np.floor(np.minimum(PIXELS + 32.0, 255) * 1.5), 255))


@pytest.mark.parametrize(("saturation", "hue"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("part", [0.0, 1.0])
def test_saturation_and_hue_are_those_of_the_standard_library(
    saturation: bool, hue: bool, part: float
) -> None:
    found = _changed(False, False, False, saturation, hue, part=part)
    wanted = np.zeros_like(found)
    for at in np.ndindex(*PIXELS.shape[:2]):
        h, s, v = colorsys.rgb_to_hsv(*(PIXELS[at] / 255))
        h = (h + (HUE * (2 * part - 1) if hue else 0)) % 1
        s = min(s * (0.5 + part), 1) if saturation else s
        wanted[at] = np.array(colorsys.hsv_to_rgb(h, s, v)) * 255
    # Hue and saturation have 256 levels in between.
    assert np.abs(found - wanted).max() <= 12
    assert np.abs(found - wanted).mean() <= 2
    assert np.abs(found - PIXELS).mean() > 5


def test_every_change_comes_in_half_of_the_images() -> None:
    """Of grey only brightness and contrast, so three images in four change."""
    grey, rng = np.full((2, 2, 3), 100, np.uint8), np.random.default_rng(0)
    changed = sum(bool((distorted(grey, rng) != grey).any()) for _ in range(2000))
    assert 1400 < changed < 1600
