"""Public sets: tiny copies are read as torchvision reads them, wrong copies are refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from tests.transfer.datasets.image_list.public.layouts import WRITERS, first_image, image
from transfer.datasets.image_list.images import open_image
from transfer.datasets.image_list.public.class_folders import positions
from transfer.datasets.image_list.public.row import Row
from transfer.datasets.image_list.public.table import ROWS, load_set, read_parts, set_names
from transfer.errors import DataError


def test_every_set_of_the_table_has_a_layout() -> None:
    assert set(WRITERS) == set(set_names())


@pytest.mark.parametrize("name", WRITERS)
def test_a_copy_is_read(name: str, tmp_path: Path) -> None:
    row = WRITERS[name](tmp_path)
    parts = read_parts(row, tmp_path)
    assert {part: len(images) for part, images in parts.items()} == row.counts
    ids = [i for images in parts.values() for i in images.ids]
    assert len(set(ids)) == len(ids), "an id is one image of the set"
    for images in parts.values():
        assert list(images.ids) == sorted(images.ids)
        assert len(images.classes) == row.classes
        assert all(open_image(place).mode == "RGB" for place in images.places)


def _pairs(name: str, root: Path, part: str) -> list[tuple[str, int]]:
    row = WRITERS[name](root)
    images = read_parts(row, root)[part]
    return sorted((place.file, int(y)) for place, y in zip(images.places, images.labels, strict=True))


OF_TORCHVISION = ("food101", "aircraft", "dtd", "pets", "flowers", "cars")


@pytest.mark.parametrize(
    ("name", "part"), [(name, part) for name in OF_TORCHVISION for part in ROWS[name].counts]
)
def test_torchvision_reads_the_same(
    name: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision import datasets as theirs
    from torchvision.datasets import flowers102

    if part not in ROWS[name].counts:
        return
    monkeypatch.setattr(
        flowers102, "check_integrity", lambda *_: True
    )  # their hashes are those of the real files
    ours = _pairs(name, tmp_path, part)
    split = "trainval" if (name, part) == ("pets", "train") else part
    kinds = (theirs.Food101, theirs.FGVCAircraft, theirs.DTD, theirs.OxfordIIITPet, theirs.Flowers102,
             theirs.StanfordCars)  # fmt: skip
    kind = dict(zip(OF_TORCHVISION, kinds, strict=True))[name]
    found: Any = kind(tmp_path, split=split)
    if name == "cars":
        assert sorted(found._samples) == ours
    else:
        files = found._images if name == "pets" else found._image_files
        assert sorted(zip(map(str, files), found._labels, strict=True)) == ours
        assert "classes" not in vars(found) or name == "pets" or len(found.classes) == 3


def test_sun397_is_a_part_of_what_torchvision_reads(tmp_path: Path) -> None:
    from torchvision.datasets import SUN397

    ours = _pairs("sun397", tmp_path, "train")
    found = SUN397(tmp_path)
    theirs = dict(zip(map(str, found._image_files), found._labels, strict=True))
    assert len(theirs) == 13, "theirs has no splits"
    assert all(theirs[file] == label for file, label in ours)


@pytest.mark.parametrize(("name", "labels"), [("cifar10", "labels"), ("cifar100", "fine_labels")])
def test_cifar_has_the_pixels_of_the_pickled_version(
    name: str, labels: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import cifar

    row = WRITERS[name](tmp_path)
    kind: Any = {"cifar10": cifar.CIFAR10, "cifar100": cifar.CIFAR100}[name]
    home, skip = tmp_path / kind.base_folder, 3072 + (name == "cifar100") + 1
    home.mkdir()
    for file, _ in kind.train_list + kind.test_list:
        raw = np.fromfile(tmp_path / row.folder / f"{file}.bin", np.uint8).reshape(-1, skip)
        content = {"data": raw[:, -3072:], labels: raw[:, -3073].tolist()}
        (home / file).write_bytes(pickle.dumps(content))
    (home / kind.meta["filename"]).write_bytes(pickle.dumps({kind.meta["key"]: ["cat", "dog", "ship"]}))
    monkeypatch.setattr(cifar, "check_integrity", lambda *_: True)
    for part in ("train", "test"):
        images, theirs = read_parts(row, tmp_path)[part], kind(tmp_path, train=part == "train")
        assert images.labels.tolist() == theirs.targets
        assert np.array_equal([np.asarray(open_image(place)) for place in images.places], theirs.data)


def test_caltech_keeps_the_class_that_torchvision_drops(tmp_path: Path) -> None:
    from torchvision.datasets import Caltech101

    row = WRITERS["caltech101"](tmp_path)
    ours = read_parts(row, tmp_path)["train"].classes
    assert ours == ("BACKGROUND_Google", *Caltech101(tmp_path).categories)


@pytest.mark.parametrize("name", ["caltech101", "eurosat"])
def test_a_drawn_split_is_a_function_of_its_seed(name: str, tmp_path: Path) -> None:
    row = WRITERS[name](tmp_path)
    first, again, other = (read_parts(row, tmp_path, seed)["train"].ids for seed in (0, 0, 1))
    assert first == again != other


def test_voc_has_several_classes_and_difficult_ones(tmp_path: Path) -> None:
    row = WRITERS["voc07"](tmp_path)
    test = read_parts(row, tmp_path)["test"]
    assert test.multi_label
    assert test.labels.dtype == np.int8
    assert test.labels[:, :2].tolist() == [[1, 1], [0, -1], [-1, -1]]


def _edit(file: str, old: str, new: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        path = root / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return spoil


def _flowers_swapped(root: Path) -> None:
    savemat(
        root / "flowers-102/setid.mat",
        {"tstid": [[3, 1, 2]], "valid": [[4, 5, 6]], "trnid": [list(range(7, 16))]},
    )


def _flowers_mixed(root: Path) -> None:
    savemat(root / "flowers-102/imagelabels.mat", {"labels": [[1, 1, 3] + [1, 2, 3] * 4]})


def _cars_unlabelled(root: Path) -> None:
    rows = np.array([("00001.jpg", 5)], [("fname", object), ("bbox_x1", object)])
    savemat(root / "stanford_cars/cars_test_annos_withlabels.mat", {"annotations": rows[None]})


def _cars_zero(root: Path) -> None:
    rows = np.array([("00001.jpg", 0)] * 2, [("fname", object), ("class", object)])
    savemat(root / "stanford_cars/devkit/cars_train_annos.mat", {"annotations": rows[None]})


def _bytes(file: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda root: (root / file).write_bytes(change((root / file).read_bytes())) and None


def _flat(root: Path) -> None:
    for path in sorted((root / "imagenet/val").rglob("*.JPEG")):
        path.rename(root / "imagenet/val" / f"{path.parent.name}_{path.name}")


MAIN, SPLITS, CUB = "VOC2007/ImageSets/Main", "SUN397/Partitions", "CUB_200_2011"
PETS, AIRCRAFT, CIFAR = "oxford-iiit-pet/annotations", "fgvc-aircraft-2013b/data", "cifar-10-batches-bin"
V2, FACES = ROWS["imagenet_v2"].folder, "caltech101/101_ObjectCategories/Faces"
# set, what is done to the copy, what is said
WRONG: list[tuple[str, Callable[[Path], None], str]] = [
    ("food101", _edit("food-101/meta/test.json", "cake/4", "bread/4"), "bread/4 stands under class cake"),
    ("food101", _edit("food-101/meta/train.json", "{", "["), "no JSON of images by class"),
    ("cifar10", _bytes(f"{CIFAR}/data_batch_2.bin", lambda b: b[:-1]), "no whole records of 3073"),
    ("cifar10", _bytes(f"{CIFAR}/test_batch.bin", lambda b: b"\7" + b[1:]), "the class 7 of 3"),
    ("cifar100", _bytes("cifar-100-binary/train.bin", lambda b: b"\1\1" + b[2:]), "expected 2 of each"),
    ("aircraft", _edit(f"{AIRCRAFT}/variants.txt", "B-1", "B-2"), "the variant 'B-1', which"),
    ("aircraft", _edit(f"{AIRCRAFT}/images_variant_val.txt", "0000003 A 300\n", ""), "val has 2 images"),
    ("dtd", _edit("dtd/dtd/labels/train1.txt", "cake/cake_", "cake/bread_"), "is not named after its class"),
    ("pets", _edit(f"{PETS}/test.txt", "Bengal_3 3", "Bengal_3 2"), "class 2 of great_dane"),
    ("pets", _edit(f"{PETS}/test.txt", "Bengal_3 3 1", "Bengal_3 3"), "line 5 has 3 words"),
    ("flowers", _flowers_swapped, "train has 9 images; expected 3"),
    ("flowers", _flowers_mixed, "images of class 1; expected 1 of each"),
    ("flowers", _bytes("flowers-102/setid.mat", lambda b: b"<html>"), "no MATLAB file with trnid"),
    ("caltech101", lambda root: image(root / FACES / "image_0099.jpg"), "test has 7"),
    ("sun397", _edit(f"{SPLITS}/Testing_01.txt", "/b/bar", "/b/pub"), "lies in no class of ClassName.txt"),
    ("cars", _cars_unlabelled, "has no classes .it is the file for the challenge."),
    ("cars", _cars_zero, "has the class 0 of 3"),
    ("cub", _edit(f"{CUB}/image_class_labels.txt", "5 2", "5 1"), "Finch_0.jpg, has the class 1"),
    ("cub", _edit(f"{CUB}/train_test_split.txt", "1 0", "1 1"), "train has 7 images; expected 6"),
    ("eurosat", lambda root: image(root / "eurosat/2750/pond/pond_1.jpg"), "has 4 classes; expected 3"),
    ("voc07", _edit(f"{MAIN}/cat_test.txt", "200001", "200007"), "its images are not those of test.txt"),
    ("voc07", _edit(f"{MAIN}/cow_val.txt", "-1", " 2"), "a label is not 1, -1 or 0"),
    ("imagenet", _flat, "has 9 images in no class folder"),
    ("imagenet_v2", lambda root: image(root / V2 / "n01440764/1.JPEG"), "is not a number"),
    ("imagenet_r", lambda root: image(root / "imagenet-r/cat/1.JPEG"), "folder cat is not a WordNet id"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "spoil", "said"), WRONG, ids=[f"{w[0]}-{i}" for i, w in enumerate(WRONG)])
def test_a_wrong_copy_is_refused_in_a_line(
    name: str, spoil: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    row: Row = WRITERS[name](tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError, match=said) as caught:
        read_parts(row, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    row = WRITERS[name](tmp_path)
    path = first_image(tmp_path, name)
    path.unlink()
    with pytest.raises(DataError, match=f"{path.name}.*(is missing|No such file)|expected [0-9]+"):
        read_parts(row, tmp_path)


def test_the_whole_set_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="prepare dtd --data-root"):
        load_set("dtd", tmp_path)
    with pytest.raises(DataError, match="did you mean flowers"):
        load_set("flower", tmp_path)


def test_numbers_are_not_sorted_as_strings_and_a_mask_finds_its_outputs(tmp_path: Path) -> None:
    row = WRITERS["imagenet_v2"](tmp_path)
    assert read_parts(row, tmp_path)["test"].classes == ("0", "2", "10")
    head = ["n3", "n1", "n2"]  # a head may have any order
    assert positions(["n2", "n3"], head).tolist() == [2, 0]
    assert positions(["0", "2"], head).tolist() == [1, 0]
    with pytest.raises(DataError, match="class n9 is none of the 3 classes"):
        positions(["n9"], head)


def test_torchvision_knows_the_same_archives() -> None:
    from torchvision import datasets as theirs
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    md5 = {remote.file: remote.md5 for row in ROWS.values() for remote in row.remotes}
    known: dict[str, str] = {
        "food-101.tar.gz": theirs.Food101._MD5,
        "dtd-r1.0.1.tar.gz": theirs.DTD._MD5,
        "SUN397.tar.gz": theirs.SUN397._DATASET_MD5,
        **{url.rpartition("/")[2]: value for url, value in theirs.OxfordIIITPet._RESOURCES},
        **{file: value for file, value in theirs.Flowers102._file_dict.values()},
        **{DATASET_YEAR_DICT[y]["filename"]: DATASET_YEAR_DICT[y]["md5"] for y in ("2007", "2007-test")},
    }
    assert {file: md5[file] for file in known} == known
