"""Archives are unpacked into their folder alone, and a broken one is named."""

from __future__ import annotations

import io
import random
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from transfer.datasets.image_list.public.row import Remote
from transfer.datasets.prepare.unpack import unpack
from transfer.errors import DataError, DiskError

MOST = 100_000  # bytes


def _tar(path: Path, *entries: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(content), kind, "/etc/passwd"
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_an_archive_cannot_leave_its_folder(name: str, tmp_path: Path) -> None:
    for path in (_tar(tmp_path / "x.tar", (name, b"1")), tmp_path / "x.zip"):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as zipped:
                zipped.writestr(name, b"1")
        with pytest.raises(DataError, match="leaves its folder"):
            unpack(Remote(path.name, (), "in"), path, tmp_path / "root", MOST)
    assert not list(tmp_path.rglob("outside"))


def test_links_and_doubles_are_left_out(tmp_path: Path) -> None:
    linked = _tar(tmp_path / "l.tar", ("link", b""), kind=tarfile.SYMTYPE)
    assert unpack(Remote("l.tar", (), ""), linked, tmp_path / "root", MOST) == 0
    doubled = _tar(tmp_path / "d.tar", ("a/._x.txt", b"1"), ("a/x.txt", b"2"))
    assert unpack(Remote("d.tar", (), ""), doubled, tmp_path / "root", MOST) == 1


def test_archives_are_laid_out_as_the_row_says(tmp_path: Path) -> None:
    inner = _tar(tmp_path / "i.tar", ("101_ObjectCategories/a/image_0001.jpg", b"1"))
    with zipfile.ZipFile(tmp_path / "o.zip", "w") as zipped:
        zipped.write(inner, "caltech-101/i.tar")
        zipped.writestr("caltech-101/show.m", b"not wanted")
    packed = Remote("o.zip", (), "caltech101", inner=("caltech-101/i.tar",))
    assert unpack(packed, tmp_path / "o.zip", tmp_path / "root", MOST) == 1
    unpack(Remote("i.tar", (), "r/jpg", flat=True), inner, tmp_path / "root", MOST)
    unpack(Remote("i.tar", (), "", rename=("101_ObjectCategories/", "new/")), inner, tmp_path / "root", MOST)
    (tmp_path / "setid.mat").write_bytes(b"MATLAB")
    unpack(Remote("setid.mat", (), "flowers-102"), tmp_path / "setid.mat", tmp_path / "root", MOST)
    files = {str(p.relative_to(tmp_path / "root")) for p in (tmp_path / "root").rglob("*") if p.is_file()}
    assert files == {
        "caltech101/101_ObjectCategories/a/image_0001.jpg", "r/jpg/image_0001.jpg",
        "new/a/image_0001.jpg", "flowers-102/setid.mat",
    }  # fmt: skip


def test_a_compressed_archive_is_held_against_its_check_sum(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as tar:
        tar.add(tmp_path / "a.txt", "a.txt")
    remote = Remote("a.tgz", (), "out")
    assert unpack(remote, tmp_path / "a.tgz", tmp_path, MOST) == 1
    raw = bytearray((tmp_path / "a.tgz").read_bytes())
    raw[-6] ^= 1  # of the CRC, behind all members
    (tmp_path / "a.tgz").write_bytes(raw)
    with pytest.raises(DataError, match="cannot be unpacked .*CRC.*; remove it and fetch it again"):
        unpack(remote, tmp_path / "a.tgz", tmp_path, MOST)


def _zeros(path: Path, size: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for part in "ab":
            zipped.writestr(part, bytes(size // 2))
    return path


def test_an_archive_that_swells_is_left(tmp_path: Path) -> None:
    bomb = _zeros(tmp_path / "bomb.zip", 2 * MOST)
    assert bomb.stat().st_size < MOST / 100
    with pytest.raises(DataError, match="bomb.zip: swells far beyond its set; remove it and fetch it again"):
        unpack(Remote("bomb.zip", (), ""), bomb, tmp_path / "root", MOST)
    written = sum(path.stat().st_size for path in (tmp_path / "root").iterdir())
    assert written <= MOST
    assert unpack(Remote("bomb.zip", (), ""), bomb, tmp_path / "root", 2 * MOST) == 2


def test_damage_of_any_kind_is_one_line(tmp_path: Path) -> None:
    named = tmp_path / "named.tar"
    with tarfile.open(named, "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"path": "a\0b"}
        tar.addfile(info)
    text = random.Random(0).randbytes(3 * MOST)  # does not shrink: what is damaged is content
    for mode in ("gz", "bz2", "xz"):
        blocks = {"compresslevel": 1} if mode == "bz2" else {}  # several, so that the first can be read
        with tarfile.open(tmp_path / f"whole.{mode}", f"w:{mode}", **blocks) as tar:  # type: ignore[call-overload]
            info = tarfile.TarInfo("a")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    with zipfile.ZipFile(tmp_path / "whole.zip", "w", zipfile.ZIP_BZIP2) as zipped:
        zipped.writestr("a", text)
    says = "cannot be unpacked .*; remove it and fetch it again$"
    with pytest.raises(DataError, match=f"null byte.*{says[-30:]}"):
        unpack(Remote("named.tar", (), ""), named, tmp_path / "root", MOST)
    told = []
    for whole in sorted(tmp_path.glob("whole.*")):
        for at in range(1, 10):
            raw = bytearray(whole.read_bytes())
            raw[len(raw) * at // 10] ^= 0xFF
            (tmp_path / "damaged").write_bytes(raw)
            remote = Remote("damaged", (), "")
            try:
                unpack(remote, tmp_path / "damaged", tmp_path / "root", 9 * MOST)
            except DataError as error:
                told.append(str(error))
    assert len(told) >= 33, "of 36: where its first block is damaged, a bz2 is taken for no archive"
    assert all(re.search(says, one) for one in told), told


def test_a_disk_that_is_full_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "root/a").mkdir(parents=True)
    with pytest.raises(DiskError, match="root/a: Is a directory"):
        unpack(Remote("x.tar", (), ""), _tar(tmp_path / "x.tar", ("a", b"1")), tmp_path / "root", MOST)
