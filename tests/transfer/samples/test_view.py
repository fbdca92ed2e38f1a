"""Where points, boxes and pixels go, by hand and against Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from transfer.samples.view import View


@pytest.mark.parametrize(("flip", "x"), [(False, 30.0), (True, 60.0)])
def test_a_point_is_scaled_on_each_axis_and_then_mirrored(flip: bool, x: float) -> None:
    view = View((40, 30), (20, 90), flip)
    np.testing.assert_allclose(view.points(np.array([[10, 30], [0, 0]])), [[x, 15], [90 * flip, 0]])


def test_boxes_are_clipped_to_the_image() -> None:
    boxes = np.array([[-3.0, 10.0, 15.0, 50.0], [1.0, 2.0, 3.0, 4.0]])
    wanted = [[0, 5, 45, 20], [3, 1, 9, 2]]
    np.testing.assert_allclose(View((40, 30), (20, 90), False).boxes(boxes), wanted)
    mirrored = [[45, 5, 90, 20], [81, 1, 87, 2]]
    np.testing.assert_allclose(View((40, 30), (20, 90), True).boxes(boxes), mirrored)
    assert View((40, 30), (20, 90), True).boxes(np.zeros((0, 4))).shape == (0, 4)


def test_the_nearest_pixels_are_pillows() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        old, new = (tuple(map(int, rng.integers(1, 300, 2))) for _ in range(2))
        bitmap = rng.integers(0, 256, old).astype(np.uint8)
        wanted = np.asarray(Image.fromarray(bitmap).resize(new[::-1], Image.Resampling.NEAREST))
        for flip in (False, True):
            rows, columns = View(old, new, flip).nearest  # type: ignore[arg-type]
            np.testing.assert_array_equal(bitmap[np.ix_(rows, columns)], wanted[:, ::-1] if flip else wanted)
