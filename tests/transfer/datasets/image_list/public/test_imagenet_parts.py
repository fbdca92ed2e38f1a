"""Lists of a part of ImageNet, and iNaturalist: what is listed is trained on, and another list is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.transfer.datasets.image_list.public.layouts import WRITERS
from transfer.datasets.image_list.public.class_folders import SUBSETS
from transfer.datasets.image_list.public.table import ROWS, read_parts
from transfer.errors import DataError


def test_only_what_is_listed_is_trained_on_and_val_is_the_test(tmp_path: Path) -> None:
    row = WRITERS["imagenet_1pct"](tmp_path)
    parts = read_parts(row, tmp_path)
    whole = read_parts(WRITERS["imagenet"](tmp_path / "b"), tmp_path / "b")["test"]
    listed = (tmp_path / "imagenet" / SUBSETS / "1percent.txt").read_text().split()
    assert sorted(one.rpartition("/")[2] for one in parts["train"].ids) == sorted(listed)
    assert parts["train"].labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert parts["test"].ids == whole.ids
    assert all(one.startswith("train/n") for one in parts["train"].ids), "as in imagenet"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "1percent.txt is missing; bring imagenet_subsets/1percent.txt of google-research/simclr"),
        ("n01440764_0.JPEG\n", "not the list of google-research/simclr"),
    ],
)
def test_simclrs_list_is_known_by_its_hash(content: str | None, says: str, tmp_path: Path) -> None:
    WRITERS["imagenet_1pct"](tmp_path)
    path = tmp_path / "imagenet" / SUBSETS / "1percent.txt"
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(DataError, match=says):
        read_parts(ROWS["imagenet_1pct"], tmp_path)


def test_a_name_of_no_class_is_refused(tmp_path: Path) -> None:
    row = WRITERS["imagenet_10pct"](tmp_path)
    path = tmp_path / "imagenet" / SUBSETS / "10percent.txt"
    path.write_text(path.read_text() + "n09999999_1.JPEG\n")
    with pytest.raises(DataError, match="n09999999_1.JPEG is of no class of val"):
        read_parts(row, tmp_path)


def test_inaturalist_is_read_by_its_lists(tmp_path: Path) -> None:
    row = WRITERS["inat18"](tmp_path)
    parts = read_parts(row, tmp_path)
    for images in parts.values():
        assert [int(one.split("/")[2]) for one in images.ids] == images.labels.tolist()
    path = tmp_path / "inat2018" / "val2018.json"
    content = json.loads(path.read_text())
    for wrong, says in (
        ({**content, "categories": [{"id": c} for c in (0, 1, 3)]}, "its classes do not count from 0"),
        ({**content, "categories": [{"id": c} for c in range(4)]}, "4 classes, and train has 3"),
        ({**content, "annotations": []}, "no list of images with a class each"),
        ("[", "no JSON"),
    ):
        path.write_text(wrong if isinstance(wrong, str) else json.dumps(wrong))
        with pytest.raises(DataError, match=says):
            read_parts(row, tmp_path)


def test_torchvision_has_the_same_sum_of_inaturalist() -> None:
    from torchvision.datasets.inaturalist import DATASET_MD5

    assert {one.file: one.md5 for one in ROWS["inat18"].remotes}["train_val2018.tar.gz"] == DATASET_MD5[
        "2018"
    ]
