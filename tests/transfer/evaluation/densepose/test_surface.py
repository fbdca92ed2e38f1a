"""A packed surface is what the metric and the result file would have made of the arrays."""

from __future__ import annotations

import numpy as np
import pytest

from transfer.evaluation.densepose.surface import PackedSurface


def test_what_eight_bits_hold_comes_back() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 25, (40, 30)).astype(np.uint8)
    uv = rng.uniform(-0.2, 1.2, (2, 40, 30)).astype(np.float32)
    uv[0].flat[:256] = np.arange(256) / np.float32(255)
    packed = PackedSurface.pack(labels, uv)
    assert dict(packed).keys() == {"labels", "uv"}
    np.testing.assert_array_equal(packed["labels"], labels)
    eight = np.clip(uv * 255.0, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(np.clip(packed["uv"] * 255.0, 0, 255).astype(np.uint8), eight)
    assert packed["uv"].max() <= 1
    np.testing.assert_array_equal(PackedSurface.pack(**packed)["uv"], packed["uv"])
    with pytest.raises(KeyError):
        packed["masks"]


def test_a_smooth_surface_takes_a_fraction_of_its_arrays() -> None:
    v, u = np.mgrid[0:300, 0:150].astype(np.float32) / 300
    labels = (u * 10).astype(np.uint8)
    assert len(PackedSurface.pack(labels, np.stack([u, v])).png) < 9 * labels.size / 20
