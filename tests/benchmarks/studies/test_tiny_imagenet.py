"""Tiny-ImageNet's lists, links and mosaics: no held-out class is in the list, boxes lie on their images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.studies.data import tiny_imagenet
from benchmarks.studies.data.prepare import prepare
from benchmarks.studies.data.sets import LISTS
from pretrain.images.sources import find_images
from tests.benchmarks.studies import fabricated


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twenty-two classes of four train and two val images."""
    fabricated.tiny_imagenet(tmp_path / "source")
    return tmp_path / "source"


def test_the_list_holds_the_classes_that_are_not_held_out(source: Path, tmp_path: Path) -> None:
    assert prepare(LISTS, source, tmp_path)["images"] == {
        "pretrain": 8,
        "pretrain_fifth": 8,
        "held_out/train": 80,
        "held_out/val": 40,
    }
    folder = tmp_path / LISTS
    lines = [line.split("\t") for line in (folder / "pretrain.txt").read_text().splitlines()]
    assert {Path(name).name[:9] for name, _ in lines} == {"n00000020", "n00000021"}
    assert [label for _, label in lines] == ["0"] * 4 + ["1"] * 4
    assert all((folder / name).is_file() for name, _ in lines), "relative to the list"
    assert len(list((folder / "held_out" / "val").glob("n*/*.JPEG"))) == 40
    assert (folder / "held_out" / "train" / "n00000003" / "n00000003_2.JPEG").resolve().is_relative_to(source)


def test_the_shorter_list_has_the_first_of_every_class(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_imagenet, "FIFTH", 3)
    assert prepare(LISTS, source, tmp_path)["images"]["pretrain_fifth"] == 6
    long, short = (
        (tmp_path / LISTS / f"{name}.txt").read_text().splitlines() for name in ("pretrain", "pretrain_fifth")
    )
    assert short == long[:3] + long[4:7], "of four images of each of two classes"


def test_lists_of_a_version_without_the_shorter_one_are_replaced(source: Path, tmp_path: Path) -> None:
    prepare(LISTS, source, tmp_path)
    (tmp_path / LISTS / "pretrain_fifth.txt").unlink()
    about = tmp_path / LISTS / "about.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"version": 1}))
    prepare(LISTS, source, tmp_path)
    assert (tmp_path / LISTS / "pretrain_fifth.txt").is_file()


def test_pretrain_reads_both(source: Path, tmp_path: Path) -> None:
    prepare(LISTS, source, tmp_path)
    assert len(find_images(tmp_path / LISTS / "pretrain.txt").classes) == 2
    assert len(find_images(tmp_path / LISTS / "held_out").classes) == 20


def test_mosaics_have_each_image_once_under_its_box(source: Path, tmp_path: Path) -> None:
    prepare("mosaics", source, tmp_path)
    content = json.loads((tmp_path / "mosaics" / "train.json").read_text())
    assert (len(content["images"]), len(content["annotations"])) == (20, 80)
    counts = np.bincount([a["category_id"] for a in content["annotations"]], minlength=21)
    assert counts.tolist() == [0] + [4] * 20, "every image of every class once"
    for picture in tiny_imagenet.read_mosaics(source)["train"][:3]:
        pixels = np.asarray(picture.load())
        for thing, corner in zip(picture.things, tiny_imagenet.CORNERS, strict=True):
            (x, y), (x0, y0, w, h) = corner, thing.box
            n = x0 - x
            assert (y0 - y, w, h) == (n, 41, 51), "inclusive corners from n to 40 + n and 50 + n"
            assert abs(int(pixels[y + 5, x + 5, 0]) - 10 * (thing.category - 1)) < 4, "the image of the class"
            assert abs(int(pixels[y + 5, x + 5, 1]) - 60 * n) < 4, "and of the number that its box has"


def test_test_mosaics_are_of_val_images(source: Path, tmp_path: Path) -> None:
    prepare("mosaics", source, tmp_path)
    content = json.loads((tmp_path / "mosaics" / "test.json").read_text())
    assert (len(content["images"]), len(content["annotations"])) == (10, 40)
    box = [0, 32, 45, 31]
    shifted = [[box[0] + x, box[1] + y, *box[2:]] for x, y in tiny_imagenet.CORNERS]
    assert [a["bbox"] for a in content["annotations"][:4]] == shifted
    with Image.open(tmp_path / "mosaics" / "images" / content["images"][0]["file_name"]) as image:
        assert image.size == (128, 128)
