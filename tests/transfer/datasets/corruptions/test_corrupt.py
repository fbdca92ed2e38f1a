"""The fifteen corruptions: the same each time, in the image's size, worse from severity to severity."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from PIL import Image

from transfer.datasets.corruptions import corrupt as module
from transfer.datasets.corruptions.constants import GROUPS, NAMES, PUBLISHED, SEVERITIES
from transfer.datasets.corruptions.corrupt import corrupt
from transfer.datasets.corruptions.filters import convolved, disc, fractal, magnified, moved
from transfer.datasets.corruptions.noise_and_blur import glass_blur, impulse_noise, shot_noise
from transfer.datasets.corruptions.weather_and_digital import brightness, ice
from transfer.datasets.synthetic.texture import Texture, fill, finish
from transfer.errors import TransferError

SIDE, IMAGES = 56, 6
# By the published constants these do not get worse in distance from each severity to the next: glass blur
# takes fewer passes at 2, 4 and 5, elastic changes in kind at 3, frost's and snow's share of the image is
# balanced by what is laid over it, fog gets smoother as it gets thicker, and boxes of exactly two or four
# pixels fit better than others.
NOT_EACH = {"glass_blur", "elastic_transform", "snow", "frost", "fog", "pixelate"}


@cache
def _picture(seed: int, width: int = SIDE, height: int = SIDE) -> Image.Image:
    rng = np.random.default_rng(seed)
    texture = Texture("clouds", 0.3, 20.0)
    return finish(rng, fill(rng, texture, width, height, min(width, height)))


def _distance(name: str, severity: int) -> float:
    pairs = [(_picture(i), corrupt(_picture(i), name, severity, f"image {i}")) for i in range(IMAGES)]
    return float(np.mean([np.abs(np.asarray(a, float) - np.asarray(b, float)).mean() for a, b in pairs]))


@pytest.mark.parametrize("name", NAMES)
def test_it_gets_worse(name: str) -> None:
    found = [_distance(name, severity) for severity in SEVERITIES]
    assert found[0] > 1
    if name not in NOT_EACH:
        assert (np.diff(found) > 0).all(), found
    elif name not in ("glass_blur", "elastic_transform", "frost"):
        assert found[-1] > found[0], found


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_function_of_image_id_and_severity(name: str) -> None:
    first, again = (np.asarray(corrupt(_picture(0), name, 3, "a")) for _ in range(2))
    assert np.array_equal(first, again)
    other = np.asarray(corrupt(_picture(0), name, 3, "b"))
    drawn = name not in (
        "defocus_blur",
        "zoom_blur",
        "brightness",
        "contrast",
        "pixelate",
        "jpeg_compression",
    )
    assert np.array_equal(first, other) != drawn, "only what is drawn differs from id to id"


@pytest.mark.parametrize("size", [(61, 40), (40, 61), (9, 9)])
@pytest.mark.parametrize("name", NAMES)
def test_the_shape_is_kept(name: str, size: tuple[int, int]) -> None:
    for severity in (1, 5):
        found = corrupt(_picture(1, *size), name, severity, "a")
        assert (found.size, found.mode) == (size, "RGB")


def test_the_constants_are_the_published_ones() -> None:
    """Read by hand from make_imagenet_c.py @e0377d4."""
    assert len(NAMES) == 15
    assert {group: len(names) for group, names in GROUPS.items()} == {
        "noise": 3,
        "blur": 4,
        "weather": 4,
        "digital": 4,
    }
    assert set(PUBLISHED) == set(NAMES) == set(module._FUNCTIONS)
    assert all(len(constants) == 5 for constants in PUBLISHED.values())
    fifth = {name: constants[4] for name, constants in PUBLISHED.items() if name != "zoom_blur"}
    assert fifth == {
        "gaussian_noise": 0.38, "shot_noise": 3, "impulse_noise": 0.27, "defocus_blur": (10, 0.5),
        "glass_blur": (1.5, 4, 2), "motion_blur": (20, 15), "snow": (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        "frost": (0.6, 0.75), "fog": (3, 1.4), "brightness": 0.5, "contrast": 0.05,
        "elastic_transform": (244 * 0.12, 244 * 0.01, 244 * 0.02), "pixelate": 0.25, "jpeg_compression": 7,
    }  # fmt: skip
    # The first ends at 1.11, as 1.1 + 0.01 is a little less in floating point.
    assert [len(zooms) for zooms in PUBLISHED["zoom_blur"]] == [12, 16, 11, 13, 11]


@pytest.mark.parametrize(("name", "severity"), [("fog", 0), ("fog", 6), ("spatter", 1)])
def test_what_is_unknown(name: str, severity: int) -> None:
    with pytest.raises(TransferError, match="expected 1 to 5 of gaussian_noise, shot_noise"):
        corrupt(_picture(0), name, severity, "a")


def _pixels(seed: int = 0, side: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).random((side, side, 3))


def test_noise_has_the_statistics_that_it_says() -> None:
    rng, grey = np.random.default_rng(0), np.full((200, 200, 3), 0.5)
    shots = shot_noise(grey, 12, rng, 1)
    assert abs(shots.mean() - 0.5) < 0.003
    assert abs(shots.var() - 0.5 / 12) < 0.001
    salted = impulse_noise(grey, 0.09, rng, 1)
    assert abs((salted != 0.5).mean() - 0.09) < 0.003
    assert abs((salted == 1).mean() - 0.045) < 0.003


def test_a_disc_is_round_and_convolved_pixel_by_pixel() -> None:
    kernel, x = disc(3, 0.1), _pixels()
    assert kernel.shape == (17, 17)
    assert abs(kernel.sum() - 1) < 1e-12
    assert np.count_nonzero(kernel > 1e-6) == 29, "the pixels within three of the middle"
    padded = np.pad(x, ((8, 8), (8, 8), (0, 0)), mode="reflect")
    slow = np.array(
        [
            [(padded[i : i + 17, j : j + 17] * kernel[..., None]).sum((0, 1)) for j in range(24)]
            for i in range(24)
        ]
    )
    assert np.abs(convolved(x, kernel) - slow).max() < 1e-12
    assert disc(10, 0.5).shape == (21, 21)


@pytest.mark.parametrize("angle", [0.0, 30.0, -45.0, -90.0])
def test_motion_is_half_a_gaussian_along_a_line(angle: float) -> None:
    x = _pixels(1)
    found = moved(x, 2, 1.5, angle)
    weights = np.exp(-(np.arange(5) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    at, total = (12, 12), np.zeros(3)
    for step, weight in enumerate(weights):
        y = at[0] + int(np.ceil(step * np.sin(np.deg2rad(angle)) - 0.5))
        total += weight * x[y, at[1] + int(np.ceil(step * np.cos(np.deg2rad(angle)) - 0.5))]
    assert np.abs(found[at] - total).max() < 1e-12
    assert np.allclose(moved(np.full((9, 9, 3), 0.3), 4, 2, angle), 0.3), "the border adds nothing"


def test_glass_takes_pixels_from_near_by() -> None:
    """Without blur: each pixel is one of the image, none farther away than passes and reach allow."""
    x = np.stack([*np.mgrid[:24, :24], np.zeros((24, 24))], -1) / 255
    found = glass_blur(x, (0.0, 2, 1), np.random.default_rng(0), 1.0) * 255
    away = np.abs(found - x * 255)
    assert away.max() > 1
    assert np.abs(found - np.round(found)).max() < 1e-6
    assert away[..., :2].max() < 24
    assert (away[..., 2] == 0).all()
    assert (away[:3].max(), away[:, :3].max()) == (0, 0), "rows and columns that no pass reaches"


def test_brightness_is_that_of_hsv() -> None:
    import colorsys

    x = _pixels(2, 6)
    x[0, 0] = 0
    found = brightness(x, 0.3, np.random.default_rng(0), 1.0)
    for pixel, bright in zip(x.reshape(-1, 3), found.reshape(-1, 3), strict=True):
        h, s, v = colorsys.rgb_to_hsv(*pixel)
        assert np.allclose(bright, colorsys.hsv_to_rgb(h, s, min(v + 0.3, 1)))


def test_magnified_keeps_the_middle() -> None:
    x = np.repeat(np.linspace(0, 1, 41)[None], 41, 0)[..., None]
    assert np.allclose(magnified(x, 1.0), x)
    twice = magnified(x, 2.0)
    assert twice.shape == x.shape
    assert abs(twice[20, 20, 0] - 0.5) < 0.02
    assert abs((twice[20, 30, 0] - twice[20, 10, 0]) / (x[20, 30, 0] - x[20, 10, 0]) - 0.5) < 0.03


def test_a_fractal_fills_its_square_and_fades() -> None:
    rough, smooth = (fractal(np.random.default_rng(0), 60, 40, fading) for fading in (1.2, 3.0))
    assert rough.shape == (60, 40)
    assert (rough.min() >= 0, rough.max() <= 1) == (True, True)
    steps = [np.abs(np.diff(field, axis=0)).mean() / field.std() for field in (rough, smooth)]
    assert steps[0] > 2 * steps[1]
    whole = fractal(np.random.default_rng(1), 64, 64, 2.0)
    assert (whole.min(), whole.max()) == (0, 1)


def test_ice_is_drawn_bright_and_bluish() -> None:
    drawn = ice(np.random.default_rng(0), 64, 64)
    assert 0.1 < drawn.mean() < 0.8
    assert drawn[..., 2].mean() > drawn[..., 0].mean()
    assert drawn.std() > 0.05
