"""Sets of another seed, as the demo draws them, are what `--data synthetic` goes on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from transfer.datasets.synthetic.make import MARKER, make_synthetic
from transfer.errors import DataError

SMALL = {"train_images": 6, "test_images": 3, "image_size": 64}


def test_without_a_seed_sets_of_any_seed_are_reused(tmp_path: Path) -> None:
    """All else must still be equal."""
    make_synthetic(["voc_2007_test"], tmp_path, **SMALL, seed=5)
    marker = tmp_path / "VOC2007" / MARKER
    before = marker.stat().st_mtime_ns
    make_synthetic(["voc_2007_test"], tmp_path, **SMALL)
    assert marker.stat().st_mtime_ns == before
    assert '"seed": 5' in marker.read_text()
    for other in ({"train_images": 17}, {"seed": 0}):
        with pytest.raises(DataError, match="was generated with"):
            make_synthetic(["voc_2007_test"], tmp_path, **{**SMALL, **other})


def test_without_a_seed_new_ones_have_seed_0(tmp_path: Path) -> None:
    make_synthetic(["voc_2007_test"], tmp_path / "a", **SMALL)
    make_synthetic(["voc_2007_test"], tmp_path / "b", **SMALL, seed=0)
    a, b = (sorted((tmp_path / x).rglob("*.*")) for x in "ab")
    assert [path.read_bytes() for path in a if path.is_file()] == [
        path.read_bytes() for path in b if path.is_file()
    ]
