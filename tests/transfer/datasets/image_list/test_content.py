"""Labelled images are identified by what they are: read once, whatever holds them, in threads or not."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.transfer.datasets.image_list.public.layouts import WRITERS, image
from transfer.datasets import image_identity
from transfer.datasets.image_list.batches import batches
from transfer.datasets.image_list.content import digests
from transfer.datasets.image_list.images import Images, Place, image_bytes, labelled, open_image
from transfer.datasets.image_list.public.table import read_parts
from transfer.errors import DataError


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Images:
    """Twenty images, half of them in an archive; the cache of hashes is empty and takes everything."""
    monkeypatch.setenv("MOCO_TRANSFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(image_identity, "KEEP_FROM", 0)
    monkeypatch.setattr(image_identity, "SETTLED_S", -3600.0)
    places = []
    with zipfile.ZipFile(tmp_path / "half.zip", "w") as archive:
        for i in range(20):
            path = tmp_path / f"{i:02}.png"
            image(path)
            if i % 2:
                archive.write(path, f"in/{path.name}")
            places.append(Place(str(tmp_path / "half.zip"), f"in/{path.name}") if i % 2 else Place(str(path)))
    return Images("half", tuple(f"{i:02}" for i in range(20)), tuple(places))


def test_digests_are_those_of_the_bytes_and_are_kept(packed: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = [hashlib.sha256(image_bytes(place)).hexdigest() for place in packed.places]
    assert digests(packed) == slow
    read: list[str] = []
    monkeypatch.setattr("transfer.datasets.image_list.content.image_bytes", lambda place: read.append(place))
    monkeypatch.setattr(image_identity, "_sha256", lambda check, path: read.append(path))
    assert digests(packed) == slow
    assert read == [], "neither files nor members are read again"


def test_a_record_is_identified_by_its_pixels(tmp_path: Path) -> None:
    images = read_parts(WRITERS["cifar100"](tmp_path), tmp_path)["test"]
    pixels = [np.asarray(open_image(place)).transpose(2, 0, 1) for place in images.places]
    assert digests(images) == [hashlib.sha256(p.tobytes()).hexdigest() for p in pixels]


@pytest.mark.parametrize(
    ("size", "workers", "first"), [(6, 1, 0), (6, 4, 0), (7, 3, 0), (20, 2, 0), (6, 3, 12)]
)
def test_batches_are_the_same_for_any_number_of_workers(
    packed: Images, size: int, workers: int, first: int
) -> None:
    found = list(batches(packed, lambda picture, i: (i, np.asarray(picture).sum()), size, workers, first))
    assert [i for _, ids in found for i in ids] == list(packed.ids[first:])
    assert [made for part, _ in found for made in part] == [
        (i, np.asarray(open_image(place)).sum())
        for i, place in zip(packed.ids[first:], packed.places[first:], strict=True)
    ]
    assert {len(ids) for _, ids in found[:-1]} <= {size}


def test_a_broken_image_ends_the_batches_by_name(packed: Images) -> None:
    Path(packed.places[8].file).write_bytes(b"no image")
    with pytest.raises(DataError, match="08.png: cannot be decoded"):
        list(batches(packed, lambda picture, _: picture, 3, 3))


def test_what_cannot_be_read_is_named(tmp_path: Path, packed: Images) -> None:
    archive = packed.places[1].file
    for place, said in (
        (Place(archive, "in/none.png"), "half.zip:in/none.png: cannot be read .*; make the archive anew"),
        (Place(str(tmp_path / "none.zip"), "x"), "none.zip:x: cannot be read .No such file"),
        (Place(str(tmp_path / "00.bin"), "9"), "00.bin:9: cannot be read .No such file"),
    ):
        with pytest.raises(DataError, match=said):
            image_bytes(place)
    (tmp_path / "00.bin").write_bytes(b"short")
    with pytest.raises(DataError, match="the file ends within the record"):
        image_bytes(Place(str(tmp_path / "00.bin"), "1"))


def test_an_id_comes_once() -> None:
    with pytest.raises(DataError, match="image a is listed twice"):
        labelled("x", ("p", "q"), ["a", "b", "a"], [Place("/1"), Place("/2"), Place("/3")], [0, 1, 0])
