"""The images' bytes are part of a data set's identity, read once and then vouched for by their files."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from transfer.datasets import image_identity, images
from transfer.datasets.coco.own import make_own
from transfer.datasets.image_identity import images_sha256
from transfer.datasets.records import column
from transfer.datasets.registry import load_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.errors import DataError


def _rewrite(change: Callable[[Image.Image], Image.Image], kind: str = "JPEG") -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with Image.open(path) as image:
            change(image.convert("RGB")).save(path, format=kind)

    return spoil


OTHER_PIXELS: dict[str, Callable[[Path], None]] = {
    "grey": _rewrite(ImageOps.grayscale),
    "upside down": _rewrite(ImageOps.flip),
    "cmyk": _rewrite(lambda image: image.convert("CMYK")),
    "a PNG under the name of a JPEG": _rewrite(lambda image: image, "PNG"),
    "one byte more": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
}
SETS = {
    "voc_2007_trainval": "VOC2007/JPEGImages",
    "coco_2017_train": "coco/train2017",
    "lvis_v0.5_train": "coco/train2017",
    "cityscapes_fine_sem_seg_train": "cityscapes/leftImg8bit/train",
    "voc_2012_sem_seg_train": "VOC2012/JPEGImages",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    make_synthetic(SETS, root, train_images=4, test_images=2, image_size=48)
    return root


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache that takes everything at once."""
    monkeypatch.setenv("MOCO_TRANSFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(image_identity, "KEEP_FROM", 0)
    monkeypatch.setattr(image_identity, "SETTLED_S", -3600.0)
    return tmp_path / "cache"


@pytest.mark.parametrize("change", OTHER_PIXELS)
def test_other_pixels_under_the_same_names_are_other_data(root: Path, tmp_path: Path, change: str) -> None:
    name = "coco_2017_train"
    shutil.copytree(root / "coco", tmp_path / "coco")
    before = load_dataset(name, tmp_path)
    assert before.summary == load_dataset(name, root).summary, "where it lies is no part of it"
    OTHER_PIXELS[change](Path(before.records[1]["file_name"]))
    after = load_dataset(name, tmp_path)
    assert after.summary["sha256"] != before.summary["sha256"]
    assert after.summary["images_sha256"] != before.summary["images_sha256"]
    assert list(after.records) == list(before.records)


@pytest.mark.parametrize("name", SETS)
def test_every_kind_of_data_set_covers_its_images(root: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(root, tmp_path / "root")
    before = load_dataset(name, tmp_path / "root")
    assert before.summary["images_sha256"] == _slow(column(before.records, "file_name").tolist())
    image = Path(before.records[-1]["file_name"])
    assert image.is_relative_to(tmp_path / "root" / SETS[name])
    image.write_bytes(image.read_bytes() + b"\0")
    after = load_dataset(name, tmp_path / "root")
    assert after.summary["sha256"] != before.summary["sha256"]


def test_a_users_own_data_set_covers_its_images(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "coco", tmp_path / "coco")
    definition = {"format": "coco", "json": "coco/annotations/instances_train2017.json",
                  "images": "coco/train2017"}  # fmt: skip
    own = {"mine": make_own("mine", definition, tmp_path / "suite.yaml")}
    before = load_dataset("mine", tmp_path, own)
    image = Path(before.records[0]["file_name"])
    image.write_bytes(image.read_bytes() + b"\0")
    assert load_dataset("mine", tmp_path, own).summary["sha256"] != before.summary["sha256"]


def _slow(paths: list[str]) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(Path(p).read_bytes()).digest() for p in paths)).hexdigest()


def _files(folder: Path, count: int = 20) -> list[str]:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        (folder / f"{i}.jpg").write_bytes(rng.bytes(50 + i))
    return [str(folder / f"{i}.jpg") for i in rng.permutation(count)]


def _count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    read: list[str] = []
    real = image_identity._sha256
    monkeypatch.setattr(image_identity, "_sha256", lambda check, path: read.append(path) or real(check, path))
    return read


def test_what_is_known_is_not_read_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = _files(tmp_path / "a") + _files(tmp_path / "b", 3)
    read = _count_reads(monkeypatch)
    assert images_sha256(paths) == _slow(paths)
    assert sorted(read) == sorted(paths)
    read.clear()
    assert images_sha256(paths[::-1]) == _slow(paths[::-1])
    assert images_sha256(paths[:7]) == _slow(paths[:7])
    assert read == []
    changed = Path(paths[4])
    before = changed.stat()
    changed.write_bytes(changed.read_bytes()[::-1])  # as long as before, and dated back
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert images_sha256(paths) == _slow(paths)
    assert read == [paths[4]]
    moved = Path(paths[0]).rename(tmp_path / "a" / "new.jpg")
    shutil.copy(tmp_path / "b" / "0.jpg", paths[0])
    read.clear()
    assert images_sha256([*paths, str(moved)]) == _slow([*paths, str(moved)])
    assert sorted(read) == sorted([paths[0], str(moved)])
    assert len(list((cache / "images").iterdir())) == 2


@pytest.mark.parametrize(
    "content", ["", "[]", "null", '{"folder": 3}', '{"folder": "%s", "files": {"0.jpg": [[1], "zz"]}}', "\0"]
)
def test_a_broken_cache_is_no_cache(tmp_path: Path, cache: Path, content: str) -> None:
    paths = _files(tmp_path / "a")
    wanted = images_sha256(paths)
    (file,) = (cache / "images").iterdir()
    good = file.read_text()
    file.write_text(content.replace("%s", str(tmp_path / "a")))
    assert images_sha256(paths) == wanted
    assert json.loads(file.read_text()) == json.loads(good)


def test_a_cache_that_cannot_be_written_costs_a_line(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = _files(tmp_path / "a") + _files(tmp_path / "b")
    cache.write_text("no folder")
    assert images_sha256(paths) == _slow(paths)
    err = capsys.readouterr().err
    assert err.startswith("hashes of images are not kept (")
    assert err.count("\n") == 1


def test_small_sets_and_fresh_files_leave_nothing_behind(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = _files(tmp_path / "a")
    monkeypatch.setattr(image_identity, "SETTLED_S", 3.0)  # the files were written this moment
    images_sha256(paths)
    assert not list(cache.rglob("*.json"))
    monkeypatch.setattr(image_identity, "SETTLED_S", -3600.0)
    monkeypatch.setattr(image_identity, "KEEP_FROM", sum(map(os.path.getsize, paths)) + 1)
    images_sha256(paths)
    assert not list(cache.rglob("*.json"))


def test_many_small_files_are_kept(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = _files(tmp_path / "a")
    monkeypatch.setattr(image_identity, "SETTLED_S", -3600.0)
    monkeypatch.setattr(image_identity, "KEEP_FROM", 1 << 40)
    monkeypatch.setattr(image_identity, "KEEP_FILES", len(paths) + 1)
    images_sha256(paths)
    assert not list(cache.rglob("*.json"))
    monkeypatch.setattr(image_identity, "KEEP_FILES", len(paths))
    before = images_sha256(paths)
    monkeypatch.setattr(image_identity, "_sha256", lambda *_: pytest.fail("read again"))
    assert images_sha256(paths) == before


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name in ("loop.jpg", "folder.jpg", "none.jpg"):
        with pytest.raises(DataError, match=rf"{name}: cannot be read \(.*\); restore the file"):
            images_sha256([str(tmp_path / name)])


def test_an_image_that_cannot_be_used_is_named_when_its_bytes_are_read(root: Path, tmp_path: Path) -> None:
    """Not behind hours of training: those of the test set would be opened last."""
    shutil.copytree(root / "coco", tmp_path / "coco")
    definition = {"format": "coco", "json": "coco/annotations/instances_train2017.json",
                  "images": "coco/train2017"}  # fmt: skip
    own = {"mine": make_own("mine", definition, tmp_path / "suite.yaml")}
    path = Path(load_dataset("mine", tmp_path, own).records[0]["file_name"])
    for content, told in ((b"no image", "cannot be opened"), (_deep(), "has 16 bits a channel")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"{path.name}: {told}") as caught:
            load_dataset("mine", tmp_path, own)
        assert "BytesIO" not in str(caught.value)


def _deep() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(stream, format="PNG")
    return stream.getvalue()


def test_an_image_that_breaks_off_is_found_by_decoding_it(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "coco" / "train2017", tmp_path / "images")
    paths = sorted((tmp_path / "images").iterdir())
    images.decode_each(list(map(str, paths)), "open")
    paths[1].write_bytes(paths[1].read_bytes()[: paths[1].stat().st_size // 2])
    with pytest.raises(
        DataError, match=rf"{paths[1].name}: cannot be decoded .*truncated.*; restore the file"
    ):
        images.decode_each(list(map(str, paths)), "open")
