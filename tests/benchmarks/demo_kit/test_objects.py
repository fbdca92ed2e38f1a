"""The demo's objects: one image for each annotated object, in class folders that kNN takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from benchmarks.demo_kit import objects
from benchmarks.demo_kit.objects import MARGIN, SPLITS, cut_objects
from pretrain.images.labelled import labelled_pair
from transfer.datasets.registry import load_dataset
from transfer.datasets.synthetic.make import make_synthetic


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("drawn")
    make_synthetic(
        [name for names in SPLITS.values() for name in names], found, train_images=12, test_images=6
    )
    return found


def test_every_object_is_an_image_of_its_class(root: Path, tmp_path: Path) -> None:
    train, test = labelled_pair(str(cut_objects(root, tmp_path / "objects")))
    for images, names in ((train, SPLITS["train"]), (test, SPLITS["test"])):
        wanted = {}
        for dataset in (load_dataset(name, root) for name in names):
            for record in dataset.records:
                for number, found in enumerate(record["annotations"]):
                    label = dataset.metadata["thing_classes"][found["category_id"]]
                    wanted[f"{label}/{dataset.name}-{record['image_id']}-{number}.jpg"] = (
                        record,
                        found["bbox"],
                    )
        assert {image.name for image in images.images} == set(wanted)
        for image in images.images:
            record, (x0, y0, x1, y1) = wanted[image.name]
            with Image.open(image.path) as file:
                width, height = file.size
            most = 2 * MARGIN * max(x1 - x0, y1 - y0) + 1
            assert x1 - x0 - 1 <= width <= min(x1 - x0 + most, record["width"])
            assert y1 - y0 - 1 <= height <= min(y1 - y0 + most, record["height"])


def test_it_is_there_whole_or_not_at_all(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(objects, "_cut", stop)
        with pytest.raises(KeyboardInterrupt):
            cut_objects(root, tmp_path / "objects")
    assert not (tmp_path / "objects").exists()
    made = cut_objects(root, tmp_path / "objects")
    first = next(made.rglob("*.jpg"))
    first.write_bytes(b"mine")
    assert cut_objects(root, made).rglob("*.jpg")
    assert first.read_bytes() == b"mine"  # a second call makes nothing anew
