"""Sources, decoding, corrupt images, and batches that do not depend on how they are made."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pretrain.errors import PretrainError
from pretrain.images.decode import Pixels, decode
from pretrain.images.draws import Views
from pretrain.images.loader import Batch, Loading, batches
from pretrain.images.sources import find_images
from pretrain.process import distributed
from tests.pretrain.helpers import write_images


def pack_shards(folder: Path, shards: Path, count: int = 2) -> None:
    """The folder's images as webdataset would write them: KEY.jpg and KEY.cls, spread over shards."""
    shards.mkdir()
    files = sorted(folder.rglob("*.jpg"))
    for number in range(count):
        with tarfile.open(shards / f"part-{number}.tar", "w") as archive:
            for key, path in enumerate(files[number::count]):
                label = path.parent.name.encode()
                for name, data in ((f"{key:04d}.jpg", path.read_bytes()), (f"{key:04d}.cls", label)):
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))


def test_folder_labels_and_train_part(image_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "train").symlink_to(image_folder)
    images = find_images(tmp_path)
    assert len(images) == 24
    assert images.classes == ["c0", "c1"]
    assert images.labels() == [0] * 12 + [1] * 12
    assert images.images[0].name == "c0/000.jpg"
    assert find_images(image_folder / "c0").classes == []


def test_shards_hold_what_the_folder_holds(image_folder: Path, tmp_path: Path) -> None:
    pack_shards(image_folder, tmp_path / "shards")
    folder = {image.read(): image.label for image in find_images(image_folder).images}
    for name in ("shards", "shards/part-{0..1}.tar"):
        shards = find_images(tmp_path / name)
        assert {image.read(): image.label for image in shards.images} == folder
        assert shards.classes == ["c0", "c1"]
    assert len(find_images(tmp_path / "shards" / "part-0.tar")) == 12


def test_list_file(image_folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"{image_folder}/c0/000.jpg dog\n\n{image_folder}/c1/001.jpg\tpolar bear\n")
    images = find_images(listed)
    assert images.classes == ["dog", "polar bear"]
    assert images.images[1].read() == (image_folder / "c1" / "001.jpg").read_bytes()
    listed.write_text(f"{image_folder}/c0/000.jpg\n{image_folder}/c1/001.jpg\n")
    assert find_images(listed).classes == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.jpg dog\nb.jpg\n", "1 of 2 lines carry a label"),
        ("a.jpg\nb.mp3\n", "line 2"),
        ("", "no image found"),
    ],
)
def test_bad_lists(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(PretrainError, match=message):
        find_images(tmp_path / "list.txt")


def test_bad_sources(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.md").write_text("x")
    (tmp_path / "broken.tar").write_bytes(b"not a tar" * 100)
    cases = {
        "missing": "no such folder",
        "empty": "no image found",
        "notes.md": "expected a folder",
        "broken.tar": "tar",
    }
    for name, message in cases.items():
        with pytest.raises(PretrainError, match=message):
            find_images(tmp_path / name)
    with pytest.raises(PretrainError, match="no such shard"):
        find_images(tmp_path / "s-{0..3}.tar")
    write_images(tmp_path / "one", 1)
    with pytest.raises(PretrainError, match="only 1 image found"):
        find_images(tmp_path / "one")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_decode_is_pils(mode: str, kind: str) -> None:
    if (kind, mode) == ("PNG", "CMYK"):
        return
    file = io.BytesIO()
    blocks = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize((70, 60), Image.Resampling.BICUBIC).convert(mode).save(file, kind)
    expected = np.asarray(Image.open(file).convert("RGB")).astype(int)
    got = decode(file.getvalue())
    assert got.dtype == np.uint8
    assert np.abs(got - expected).max() <= (4 if mode == "CMYK" else 0)


@pytest.mark.parametrize(
    ("kind", "order"), [("PNG", "<u2"), ("TIFF", "<u2"), ("TIFF", ">u2"), ("PPM", "<u2")]
)
def test_sixteen_bits_are_scaled_not_clipped(kind: str, order: str) -> None:
    """Values keep their place between black and white; a plain conversion makes nearly all of them white."""
    values = np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)
    file = io.BytesIO()
    Image.fromarray(values.astype(order)).save(file, kind)
    got = decode(file.getvalue())
    assert got.dtype == np.uint8
    assert got.shape == (*values.shape, 3)
    expected = np.array([[round(int(value) / 257) for value in row] for row in values])
    for channel in range(3):
        assert np.array_equal(got[:, :, channel], expected)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_pixels_without_a_known_range_are_refused(tmp_path: Path, kind: type) -> None:
    folder = write_images(tmp_path, 12)
    for name in ("one", "two"):
        Image.fromarray(np.full((9, 9), 70_000, kind)).save(folder / "c0" / f"{name}.tif")
    with pytest.raises(PretrainError, match=r"c0/one\.tif \(pixels of mode [IF] have no known range"):
        list(map(Pixels(find_images(folder)).__getitem__, range(14)))


def test_a_bomb_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    folder = write_images(tmp_path, 2)
    Image.new("L", (40, 40)).save(folder / "bomb.png")
    pixels = Pixels(find_images(folder))
    assert np.array_equal(pixels[0], pixels[1])
    assert list(pixels.corrupt_names()) == ["bomb.png"]
    assert "exceeds limit" in pixels.corrupt_names()["bomb.png"]


def damaged(folder: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        data = path.read_bytes()
        path.write_bytes([data[: len(data) // 2], b"", b"<html>not an image</html>"][number % 3])
    return folder


def test_corrupt_images_are_named_and_replaced(tmp_path: Path) -> None:
    folder = damaged(write_images(tmp_path, 12), ["c0/002.jpg", "c0/004.jpg", "c0/006.jpg"])
    pixels = Pixels(find_images(folder), max_corrupt=0.25)
    assert np.array_equal(pixels[1], pixels[4])  # 002, 004 and 006 are followed by 008
    assert np.array_equal(pixels[0], decode((folder / "c0/000.jpg").read_bytes()))
    assert list(pixels.corrupt_names()) == ["c0/002.jpg", "c0/004.jpg", "c0/006.jpg"]
    strict = Pixels(find_images(folder), max_corrupt=0.1)  # two of twelve
    with pytest.raises(PretrainError, match=r"3 of 12 images cannot be decoded.*c0/002\.jpg"):
        strict[1]


PAIR = (Views(2, "v2", 20),)


def make(
    folder: Path, first: int = 0, last: int = 9, workers: int = 2, views: tuple[Views, ...] = PAIR
) -> list[Batch]:
    loading = Loading(workers, colour_on_host=True)
    pixels = Pixels(find_images(folder))
    return list(batches(pixels, views, seed=1, batch_size=6, first=first, last=last, loading=loading))


def crops(batch: Batch) -> torch.Tensor:
    (only,) = batch.crops
    return only.pixels


def test_batches_are_functions_of_the_iteration(image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker count, start and number of processes change who makes an image, never the image."""
    all_of_them = make(image_folder)
    for workers in (1, 4):
        for a, b in zip(make(image_folder, workers=workers), all_of_them, strict=True):
            assert torch.equal(crops(a), crops(b))
    for a, b in zip(make(image_folder, first=5), all_of_them[5:], strict=True):
        assert torch.equal(crops(a), crops(b))
        assert torch.equal(a.index, b.index)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    halves = []
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        halves.append(make(image_folder))
    for a, b, whole in zip(*halves, all_of_them, strict=True):
        assert torch.equal(torch.cat([crops(a), crops(b)], 1), crops(whole))


def test_one_view_is_the_first_of_two(image_folder: Path) -> None:
    """The memory bank and the linear protocol use one view; a second would be made for nothing."""
    for one, two in zip(make(image_folder, views=(Views(1, "v2", 20),)), make(image_folder), strict=True):
        assert crops(one).shape == (1, *crops(two).shape[1:])
        assert torch.equal(crops(one)[0], crops(two)[0])
        assert one.crops[0].drawn == two.crops[0].drawn[:1]


def test_each_view_has_its_own_recipe_and_size(image_folder: Path) -> None:
    """Two large views and three small ones; the large ones are those that alone would be made."""
    mixed = make(image_folder, views=(*PAIR, Views(3, "linear", 12)))
    for batch, pair in zip(mixed, make(image_folder), strict=True):
        large, small = batch.crops
        assert torch.equal(large.pixels, crops(pair))
        assert small.pixels.shape == (3, 6, 12, 12, 3)
        assert (len(small.drawn), small.steps) == (3, ())
        assert not any(view.jitter for views in small.drawn for view in views)  # the recipe has no colour
        shapes = [tuple(image.shape) for image in batch.images(torch.device("cpu"))]
        assert shapes == [(6, 3, 20, 20)] * 2 + [(6, 3, 12, 12)] * 3


def test_an_epoch_visits_every_image_once(image_folder: Path) -> None:
    epochs = [torch.cat([batch.index for batch in make(image_folder, first=i, last=i + 4)]) for i in (0, 4)]
    assert all(sorted(epoch.tolist()) == list(range(24)) for epoch in epochs)
    assert not torch.equal(*epochs)


def test_leaving_early_stops_the_threads(image_folder: Path) -> None:
    stream = batches(
        Pixels(find_images(image_folder)),
        PAIR,
        seed=0,
        batch_size=6,
        first=0,
        last=10**6,
        loading=Loading(2, colour_on_host=False),
    )
    assert crops(next(stream)).shape == (2, 6, 20, 20, 3)
    stream.close()
