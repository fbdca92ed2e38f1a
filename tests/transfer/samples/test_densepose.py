"""DensePose targets and their mirror image: by hand, and against the mapper of Detectron2's project."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as rle
from scipy.io import savemat

from transfer.datasets.registry import load_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.errors import DataError
from transfer.recipes.resolve import load_recipe
from transfer.samples.densepose import Symmetry, densepose_targets, load_symmetry
from transfer.samples.detection import training_sample
from transfer.samples.loader import training_batches, training_records

NAME = "densepose_coco_2014_train"
CHANGES: list[tuple[str, Any]] = [
    ("INPUT.MIN_SIZE_TRAIN", [96]),
    ("DATALOADER.NUM_WORKERS", 0),
    ("SOLVER.IMS_PER_BATCH", 2),
]


def _masks(labels: np.ndarray) -> list[Any]:
    masks: list[Any] = []
    for number in range(1, 15):
        if (labels == number).any():
            masks.append(rle.encode(np.asfortranarray(labels == number, np.uint8)))
        else:
            masks.append([])
    return masks


@pytest.fixture
def annotation() -> dict[str, Any]:
    """A random person, every patch and every coarse part among it."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 15, (16, 16)).repeat(16, 0).repeat(16, 1)
    x, y = rng.random((2, 48)) * 256
    u, v = rng.random((2, 48))
    u[:2] = 0.0, 1.0
    part = [float(p) for p in [*range(1, 25), *range(1, 25)]]
    values = (x.tolist(), y.tolist(), part, u.tolist(), v.tolist(), _masks(coarse))
    return dict(zip(("dp_x", "dp_y", "dp_I", "dp_U", "dp_V", "dp_masks"), values, strict=True))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with a symmetry file of random tables in the published layout."""
    rng = np.random.default_rng(1)
    tables = {}
    for name in ("U_transforms", "V_transforms"):
        tables[name] = np.empty((1, 24), object)
        for i in range(24):
            tables[name][0, i] = rng.random((256, 256))
    (tmp_path / "densepose").mkdir()
    savemat(tmp_path / "densepose" / "UV_symmetry_transforms.mat", tables)
    return tmp_path


def test_a_target_is_what_the_annotation_says(annotation: dict[str, Any]) -> None:
    nobody: dict[str, Any] = {"bbox": [0, 0, 1, 1]}
    target, none = densepose_targets([annotation, nobody], None)
    assert none is None
    assert target is not None
    np.testing.assert_allclose(target["x"], annotation["dp_x"], rtol=1e-6)
    np.testing.assert_allclose(target["v"], annotation["dp_V"], rtol=1e-6)
    assert target["part"].tolist() == [int(p) for p in annotation["dp_I"]]
    for number, mask in enumerate(annotation["dp_masks"], 1):
        np.testing.assert_array_equal(target["coarse"] == number, rle.decode(mask) > 0)


def test_a_mirror_swaps_left_and_right(annotation: dict[str, Any]) -> None:
    table = torch.arange(256.0).expand(24, 256, 256) / 255
    same = Symmetry(u=table, v=table.mT)  # each point keeps its u and v, to eight bits
    (target,) = densepose_targets([annotation], None)
    (mirrored,) = densepose_targets([annotation], same)
    assert target is not None
    assert mirrored is not None
    torch.testing.assert_close(mirrored["x"], 256 - target["x"])
    assert mirrored["y"].equal(target["y"])
    torch.testing.assert_close(mirrored["u"], target["u"], atol=1 / 255, rtol=0)
    torch.testing.assert_close(mirrored["v"], target["v"], atol=1 / 255, rtol=0)
    # the torso is its own mirror; patches 3 and 4 are the hands, 23 and 24 the halves of the head
    pairs = dict(zip(target["part"].tolist(), mirrored["part"].tolist(), strict=True))
    assert (pairs[1], pairs[2], pairs[3], pairs[4], pairs[23], pairs[24]) == (1, 2, 4, 3, 24, 23)
    assert all(pairs[pairs[p]] == p for p in range(1, 25))
    left, right = target["coarse"] == 2, target["coarse"] == 3
    assert (mirrored["coarse"] == 3).equal(left.flip(1))
    assert (mirrored["coarse"] == 2).equal(right.flip(1))


@pytest.mark.detectron2
@pytest.mark.parametrize("flip", [False, True])
def test_equal_to_the_projects_mapper(annotation: dict[str, Any], root: Path, flip: bool) -> None:
    if importlib.util.find_spec("densepose") is None:
        pytest.skip("Detectron2's DensePose project is not importable")
    from densepose import DensePoseDataRelative, DensePoseTransformData
    from detectron2.data import transforms as T

    tables = DensePoseTransformData.load(str(root / "densepose" / "UV_symmetry_transforms.mat"))
    steps = T.TransformList([T.ResizeTransform(50, 60, 80, 96), *([T.HFlipTransform(96)] if flip else [])])
    theirs = DensePoseDataRelative(annotation)
    theirs.apply_transform(steps, tables)
    (ours,) = densepose_targets([annotation], load_symmetry(root) if flip else None)
    assert ours is not None
    for mine, name in {"x": "x", "y": "y", "part": "i", "u": "u", "v": "v", "coarse": "segm"}.items():
        assert ours[mine].float().equal(getattr(theirs, name).float()), name


def test_samples_carry_the_people_that_are_labelled(tmp_path: Path) -> None:
    """On generated people the mirror is exact: the flipped image and its labels fit each other."""
    make_synthetic([NAME], tmp_path, train_images=6, test_images=1, image_size=96)
    dataset = load_dataset(NAME, tmp_path)
    cfg = load_recipe("coco_densepose", CHANGES)
    records = training_records(dataset.records, cfg)
    assert 0 < len(records) < 6, "images without a person must not be drawn"
    seen = set()
    for epoch in range(8):
        sample = training_sample(records[0], cfg, dataset.metadata, 0, epoch, 0)
        assert sample.densepose is not None
        assert len(sample.densepose) == len(sample.boxes)
        person = sample.densepose[0]
        assert person is not None
        right_hand, left_hand = (person["x"][person["part"] == p].mean() for p in (18, 17))
        assert right_hand < left_hand, "the person faces the camera, mirrored or not"
        plain = densepose_targets(records[0]["annotations"][:1], None)[0]
        assert plain is not None
        seen.add(person["x"].equal(plain["x"]))
    assert seen == {True, False}
    batch = next(training_batches(records, cfg, dataset.metadata, 0))
    assert all(s.densepose and any(p is not None for p in s.densepose) for s in batch)


def test_a_missing_or_broken_symmetry_file_is_said_before_training(tmp_path: Path, root: Path) -> None:
    cfg = load_recipe("coco_densepose", CHANGES)
    with pytest.raises(DataError, match=r"UV_symmetry_transforms\.mat, which is missing; download https"):
        training_batches([], cfg, {"data_root": str(tmp_path / "elsewhere")}, 0)
    unflipped = load_recipe("coco_densepose", [*CHANGES, ("INPUT.RANDOM_FLIP", "none")])
    training_batches([], unflipped, {"data_root": str(tmp_path / "elsewhere")}, 0)
    broken = tmp_path / "broken" / "densepose"
    broken.mkdir(parents=True)
    whole = (root / "densepose" / "UV_symmetry_transforms.mat").read_bytes()
    for content in (b"", b"no table", whole[: len(whole) // 2]):
        (broken / "UV_symmetry_transforms.mat").write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            load_symmetry(broken.parent)
    savemat(broken / "UV_symmetry_transforms.mat", {"U_transforms": np.zeros((1, 24)), "V_transforms": 0})
    with pytest.raises(DataError, match="expected U_transforms and V_transforms of 24 tables of 256x256"):
        load_symmetry(broken.parent)
