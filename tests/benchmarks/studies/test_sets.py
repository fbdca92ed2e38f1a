"""Prepared sets: boxes and masks at the study's size, splits that never mix, equal bytes, whole or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle

from benchmarks.studies.data import bccd, coco412, penn_fudan, prepare, raccoon, voc100
from benchmarks.studies.data.__main__ import main
from benchmarks.studies.data.sets import LISTS, SETS
from tests.benchmarks.studies import fabricated
from transfer.datasets.own_file import own_dataset
from transfer.datasets.registry import load_dataset


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for checkouts; the tests take few of their images."""
    for module, count in ((penn_fudan, 2), (voc100, 2), (raccoon, 2), (coco412, 2)):
        monkeypatch.setattr(module, "TEST", count)
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def _json(folder: Path, split: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / f"{split}.json").read_text())
    return content


def _names(folder: Path, split: str) -> set[str]:
    return {image["file_name"] for image in _json(folder, split)["images"]}


def test_penn_fudan_has_a_box_and_a_mask_of_the_map_at_half_the_size(source: Path, tmp_path: Path) -> None:
    fabricated.penn_fudan(source)
    prepare.prepare("penn_fudan", source, tmp_path / "out")
    folder = tmp_path / "out" / "penn_fudan"
    content = _json(folder, "train")
    assert {(image["width"], image["height"]) for image in content["images"]} == {(224, 150)}
    with Image.open(folder / "images" / content["images"][0]["file_name"]) as image:
        assert image.size == (224, 150)
    person = content["annotations"][0]
    assert person["bbox"] == [20, 50, 20, 50]
    expected = np.zeros((150, 224), bool)
    expected[50:100, 20:40] = True
    assert (rle.decode(person["segmentation"]).astype(bool) == expected).all()
    assert person["area"] == 1000


def test_class_maps_have_the_persons_and_the_splits_of_the_boxes(source: Path, tmp_path: Path) -> None:
    fabricated.penn_fudan(source)
    for name in ("penn_fudan", "penn_fudan_maps"):
        prepare.prepare(name, source, tmp_path)
    folder = tmp_path / "penn_fudan_maps"
    for split in ("train", "test"):
        listed = (folder / f"{split}.txt").read_text().split()
        assert [f"{name}.jpg" for name in listed] == [i["file_name"] for i in _json(folder, split)["images"]]
        assert _names(folder, split) == _names(tmp_path / "penn_fudan", split)
    person = _json(folder, "train")["annotations"][0]
    with Image.open(folder / "maps" / f"{(folder / 'train.txt').read_text().split()[0]}.png") as image:
        found = np.asarray(image)
    assert set(np.unique(found)) == {0, 1}
    assert (found.astype(bool) >= rle.decode(person["segmentation"]).astype(bool)).all()
    definition = {"format": "class_maps", "images": "images", "maps": "maps", "list": "train.txt"}
    own = own_dataset("mine", definition | {"classes": ["ground", "person"]}, folder / "suite.yaml")
    assert len(load_dataset("mine", folder, {"mine": own}).records) == len(_json(folder, "train")["images"])


def test_every_set_is_one_that_a_suite_takes(source: Path, tmp_path: Path) -> None:
    fabricated.penn_fudan(source)
    fabricated.bccd(source)
    fabricated.voc100(source)
    fabricated.raccoon(source)
    fabricated.coco412(source)
    fabricated.tiny_imagenet(source)
    assert main([*SETS, "--source", str(source), "--output", str(tmp_path)]) == 0
    for name in SETS:
        tasks = ["bbox", "segm"] if name.startswith("penn_fudan") else ["bbox"]
        for split in ("train", "test", "fit", "tune"):
            definition = {"format": "coco", "json": f"{name}/{split}.json", "images": f"{name}/images"}
            own = {"mine": own_dataset("mine", definition | {"tasks": tasks}, tmp_path / "suite.yaml")}
            dataset = load_dataset("mine", tmp_path, own)
            assert dataset.metadata["thing_classes"] == list(SETS[name].classes)
            assert not dataset.summary["odd"]
        train, test, fit, tune = (_names(tmp_path / name, s) for s in ("train", "test", "fit", "tune"))
        assert test
        assert tune
        assert not train & test
        assert (fit | tune, fit & tune) == (train, set())


def test_bccd_keeps_its_lists_but_for_a_copy_of_a_test_image(source: Path, tmp_path: Path) -> None:
    fabricated.bccd(source)
    about = prepare.prepare("bccd", source, tmp_path)
    assert _names(tmp_path / "bccd", "train") == {"t0.jpg", "t1.jpg", "t2.jpg"}, "t3 is v1 again"
    assert _names(tmp_path / "bccd", "test") == {"v0.jpg", "v1.jpg"}
    boxes = [(a["category_id"], a["bbox"]) for a in _json(tmp_path / "bccd", "test")["annotations"][:2]]
    assert boxes == [(1, [0, 0, 30, 20]), (2, [30, 10, 30, 30])]
    assert about["splits"]["test"]["objects"] == {"RBC": 2, "WBC": 2}, "the box of no width is left out"
    assert SETS["bccd"].classes == bccd.CLASSES


def test_coco_has_each_image_once_and_merged_classes(source: Path) -> None:
    fabricated.coco412(source)
    pictures = {p.name: p for split in coco412.read_coco412(source).values() for p in split}
    assert sorted(map(int, pictures)) == [1, 2, 3, 4, 5, 6]
    person, vehicle = pictures[f"{3:012}"].things
    assert (person.category, vehicle.category, person.crowd, vehicle.crowd) == (1, 2, False, True)
    assert [(t.category, t.box) for t in pictures[f"{5:012}"].things] == [
        (1, (15, 10, 30, 20)),
        (2, (0, 0, 30, 40)),
    ]
    assert pictures[f"{6:012}"].things == []


def test_raccoons_are_split_by_us_and_copies_stay_together(source: Path) -> None:
    fabricated.raccoon(source)
    split = raccoon.read_raccoon(source)
    assert len(split["test"]) in (2, 3)
    assert len(split["train"]) + len(split["test"]) == 6
    sides = {part: {picture.name for picture in split[part]} for part in split}
    assert any({"raccoon-0", "raccoon-5"} <= side for side in sides.values()), "the same picture twice"
    assert [(t.category, t.box) for t in split["test"][0].things] == [(1, (10, 5, 40, 30))]


def test_voc_is_one_class_in_both_layouts(source: Path) -> None:
    fabricated.voc100(source)
    raw = voc100.read_voc100(source)
    assert (len(raw["train"]), len(raw["test"])) == (4, 2)
    assert {t.category for p in raw["train"] for t in p.things} == {1}
    base = source / "voc2012_det100"
    (base / "VOC2012").mkdir()
    (base / "data" / "database" / "images").rename(base / "VOC2012" / "JPEGImages")
    (base / "data" / "database" / "gts" / "pascalvoc_format").rename(base / "VOC2012" / "Annotations")
    (base / "data" / "database" / "gts").rmdir()
    (base / "data" / "database").rmdir()
    assert [p.name for p in voc100.read_voc100(source)["test"]] == [p.name for p in raw["test"]]


def test_the_same_again_byte_for_byte_and_nothing_is_done_twice(source: Path, tmp_path: Path) -> None:
    fabricated.bccd(source)
    prepare.prepare("bccd", source, tmp_path / "a")
    prepare.prepare("bccd", source, tmp_path / "b")
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert len(files) == 5 + 4 + 1, "images, JSONs, about.json"
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    before = (tmp_path / "a" / "bccd" / "test.json").stat()
    prepare.prepare("bccd", tmp_path / "nowhere", tmp_path / "a")
    assert (tmp_path / "a" / "bccd" / "test.json").stat() == before


def test_an_older_version_is_replaced_and_a_failure_leaves_what_was_there(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fabricated.bccd(source)
    prepare.prepare("bccd", source, tmp_path / "out")
    about = tmp_path / "out" / "bccd" / "about.json"
    about.write_text(about.read_text().replace('"version": 1', '"version": 0'))
    write = prepare.write_pictures
    monkeypatch.setattr(prepare, "write_pictures", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        prepare.prepare("bccd", source, tmp_path / "out")
    assert '"version": 0' in about.read_text()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["bccd"]
    monkeypatch.setattr(prepare, "write_pictures", write)
    assert prepare.prepare("bccd", source, tmp_path / "out")["version"] == 1


def test_absent_sources_and_broken_ones_are_one_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bccd", "--source", str(source), "--output", str(tmp_path / "out")]
    assert main(words) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: bccd: absent under {source}: BCCD_Dataset: 364 blood smears")
    assert "Shenggan/BCCD_Dataset @d272fb14" in line
    fabricated.bccd(source)
    xml = source / "BCCD_Dataset" / "BCCD" / "Annotations" / "t1.xml"
    xml.write_text(xml.read_text().replace("WBC", "cow"))
    assert main(words) == 2
    assert "t1.xml: no annotation of a set of these classes" in capsys.readouterr().err.splitlines()[-1]
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("name", ["penn_fudan", "voc100", "mosaics", LISTS])
def test_a_checkout_without_images_makes_nothing_that_counts_as_prepared(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its folders are there, as after a clone that was stopped; a full one must be read when it comes."""
    source, output = tmp_path / "source", tmp_path / "out"
    for folder in (
        "PennFudan/data/PennFudanPed/PNGImages",
        "voc2012_det100/data/database/gts/pascalvoc_format",
        "tiny-imagenet-200/train",
        "tiny-imagenet-200/val",
    ):
        (source / folder).mkdir(parents=True)
    (source / "tiny-imagenet-200" / "val" / "val_annotations.txt").touch()
    assert main([name, "--source", str(source), "--output", str(output)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {name}: ")
    assert error.endswith("is not whole: take it anew")
    assert not list(output.glob("*"))
