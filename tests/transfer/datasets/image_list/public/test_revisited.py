"""Revisited Oxford and Paris: tiny ground truth in MATLAB's form, as the authors' own reader takes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from tests.transfer.datasets.image_list.public.layouts import image
from transfer.datasets.image_list.public.revisited import RetrievalSet, load_retrieval
from transfer.errors import DataError

NAMES = [f"hall_{i}" for i in range(6)]


def _write(root: Path, junk: tuple[int, ...] = (6,)) -> Path:
    folder = root / "roxford5k"
    for name in (*NAMES, "asked_0", "asked_1"):
        image(folder / "jpg" / f"{name}.jpg")
    kind = [(key, object) for key in ("bbx", "easy", "hard", "junk")]
    rows = np.zeros((1, 2), kind)
    for i, (easy, hard) in enumerate((([1, 2], [3]), ([], [4, 5]))):
        values = np.array([[1.5, 2, 30, 40]]), np.array([easy]), np.array([hard]), np.array([list(junk)])
        rows[0, i] = values
    lists = {"imlist": NAMES, "qimlist": ["asked_0", "asked_1"]}
    cells = {key: np.array([names], object) for key, names in lists.items()}
    savemat(folder / "gnd_roxford5k.mat", {**cells, "gnd": rows})
    return folder


def _load(root: Path) -> RetrievalSet:
    return load_retrieval("roxford5k", root, 6, 2)


def test_numbers_count_from_zero(tmp_path: Path) -> None:
    _write(tmp_path)
    found = _load(tmp_path)
    assert found.images.ids == tuple(NAMES)
    assert found.queries.ids == ("asked_0", "asked_1")
    assert found.boxes.tolist() == [[1.5, 2, 30, 40]] * 2
    assert [row.tolist() for row in found.easy] == [[0, 1], []]
    assert [row.tolist() for row in found.hard] == [[2], [3, 4]]
    assert [row.tolist() for row in found.junk] == [[5], [5]]


def test_truth_and_images_are_its_identity(tmp_path: Path) -> None:
    folder = _write(tmp_path)
    before = _load(tmp_path).summary["sha256"]
    assert _load(tmp_path).summary["sha256"] == before
    (folder / "jpg/hall_3.jpg").write_bytes((folder / "jpg/hall_3.jpg").read_bytes() + b"\0")
    assert _load(tmp_path).summary["sha256"] != before


def test_a_wrong_copy_is_refused_in_a_line(tmp_path: Path) -> None:
    folder = _write(tmp_path)
    with pytest.raises(DataError, match="6 images, 2 queries; expected 4993, 70"):
        load_retrieval("roxford5k", tmp_path)
    (folder / "jpg/asked_1.jpg").unlink()
    with pytest.raises(DataError, match="asked_1.jpg is missing .1 in all."):
        _load(tmp_path)
    _write(tmp_path, junk=(7,))
    with pytest.raises(DataError, match="junk names an image that is not listed"):
        _load(tmp_path)
    (folder / "gnd_roxford5k.mat").rename(folder / "gnd_roxford5k.pkl")
    with pytest.raises(DataError, match="the .pkl could run code, and is not read"):
        _load(tmp_path)
    with pytest.raises(DataError, match="unknown set for retrieval 'oxford'; known: roxford5k"):
        load_retrieval("oxford", tmp_path)
