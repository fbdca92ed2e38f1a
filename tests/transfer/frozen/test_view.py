"""The test view has the pixels of torchvision's transforms."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from transfer.frozen.view import View


def _image(width: int, height: int) -> Image.Image:
    coarse = np.random.default_rng(width).integers(
        0, 256, (max(2, height // 7), max(2, width // 7), 3), np.uint8
    )
    return Image.fromarray(coarse).resize((width, height))


@pytest.mark.parametrize("size", [(341, 211), (211, 341), (29, 400), (90, 90), (257, 256)], ids=str)
@pytest.mark.parametrize(
    ("resize", "crop", "how"), [(64, 56, "bicubic"), (57, 57, "bilinear"), (40, 56, "bicubic")]
)
def test_it_is_resize_and_centre_crop(size: tuple[int, int], resize: int, crop: int, how: str) -> None:
    theirs = Compose([Resize(resize, InterpolationMode(how)), CenterCrop(crop)])
    image = _image(*size)
    assert np.array_equal(View(resize, crop, how)(image), np.asarray(theirs(image)))


def test_without_a_resize_the_whole_image_becomes_the_square() -> None:
    image = _image(80, 40)
    assert np.array_equal(View(0, 56)(image), np.asarray(Resize((56, 56), InterpolationMode.BICUBIC)(image)))


def test_its_facts_name_all_that_moves_a_pixel() -> None:
    assert View().facts().keys() == {"resize", "crop", "interpolation", "antialias", "by"}
    assert View().facts() != View(crop=192).facts()
