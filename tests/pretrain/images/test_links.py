"""Links in the data: every walk ends, every image counts once, and a line names what was left out."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from converters.options import visible
from pretrain.errors import PretrainError
from pretrain.images.sources import find_images
from tests.pretrain.helpers import write_images


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """24 images in c0 and c1."""
    return write_images(tmp_path / "data", 24)


def names(folder: Path) -> list[str]:
    return [image.name for image in find_images(folder, subset=None).images]


def link(place: Path, target: str | Path) -> None:
    place.symlink_to(target, target_is_directory=True)


@pytest.mark.parametrize(
    "links",
    [
        {"loop": "."},
        {"c0/parent": ".."},
        {"c0/above": "../.."},  # holds the root: following it would take in what lies beside the data
        {"c0/everything": "/"},
        {"c0/one": "..", "c1/two": ".."},
        {"c0/to1": "../c1", "c1/to0": "../c0"},
        {"c0/own": "own"},
    ],
    ids=["itself", "parent", "above the root", "file system", "two links", "mutual", "of itself"],
)
def test_loops_end_and_count_nothing_twice(
    data: Path, capsys: pytest.CaptureFixture, links: dict[str, str]
) -> None:
    expected = names(data)
    (data.parent / "beside.jpg").write_bytes(b"not part of the data")
    for place, target in links.items():
        link(data / place, target)
    assert names(data) == expected
    warning = capsys.readouterr().out
    assert warning.count("\n") == 1
    assert warning.startswith(f"warning: {data}: {len(links)} link")
    for place in links:
        assert place in warning


def test_a_link_to_a_folder_beside_is_followed_once(data: Path, capsys: pytest.CaptureFixture) -> None:
    """Two links to one folder outside: its images count under the first name, and links in it count too."""
    expected = names(data)
    other = write_images(data.parent / "other", 4)
    (data.parent / "third").mkdir()
    (data.parent / "third" / "x.png").write_bytes(b"")
    link(other / "further", data.parent / "third")
    link(data / "c2", other)
    link(data / "c3", other)
    added = ["c2/c0/000.jpg", "c2/c0/002.jpg", "c2/c1/001.jpg", "c2/c1/003.jpg", "c2/further/x.png"]
    assert names(data) == sorted(expected + added)
    assert find_images(data).classes == ["c0", "c1", "c2"]
    assert "1 link left out, for they lead to what is counted already: c3\n" in capsys.readouterr().out


def test_the_real_folder_keeps_its_name(data: Path) -> None:
    """A link that comes first in the alphabet takes neither name nor class from the folder it leads to."""
    expected = names(data)
    link(data / "a0", "c0")
    assert names(data) == expected


def test_linked_files_count_by_their_target(data: Path, capsys: pytest.CaptureFixture) -> None:
    expected = names(data)
    outside = data.parent / "outside.jpg"
    outside.write_bytes(b"x")
    (data / "c0" / "again.jpg").symlink_to("000.jpg")  # counted already
    (data / "c0" / "new.jpg").symlink_to(outside)
    (data / "c1" / "new.jpg").symlink_to(outside)
    os.link(data / "c0" / "000.jpg", data / "c0" / "hard.jpg")  # a file of its own
    assert names(data) == sorted([*expected, "c0/hard.jpg", "c0/new.jpg"])
    assert "2 links left out" in capsys.readouterr().out


def test_links_to_nothing(data: Path, capsys: pytest.CaptureFixture) -> None:
    """One that is named like an image counts as one that cannot be read; a class folder is missed aloud."""
    expected = names(data)
    link(data / "c9", "nowhere")
    (data / "c0" / "gone.jpg").symlink_to("nowhere.jpg")
    assert names(data) == sorted([*expected, "c0/gone.jpg"])
    assert "1 link left out, for they lead nowhere: c9\n" in capsys.readouterr().out


def test_a_folder_that_cannot_be_read(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked, scandir = data.parent / "locked", os.scandir
    locked.mkdir()
    link(data / "c2", locked)

    def refuse(path: str) -> object:
        if Path(path).resolve() == locked:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PretrainError, match=r"c2: folder cannot be read \(Permission denied\)"):
        find_images(data)


def test_shards_by_two_names_and_links_in_shards(data: Path, capsys: pytest.CaptureFixture) -> None:
    shards = data.parent / "shards"
    shards.mkdir()
    with tarfile.open(shards / "b.tar", "w") as archive:
        for key in range(3):
            member = tarfile.TarInfo(f"{key}.jpg")
            member.size = 4
            archive.addfile(member, io.BytesIO(b"data"))
        soft = tarfile.TarInfo("soft.jpg")
        soft.type, soft.linkname = tarfile.SYMTYPE, "0.jpg"
        archive.addfile(soft)
    link(shards / "a.tar", "b.tar")
    assert names(shards) == ["b.tar/0.jpg", "b.tar/1.jpg", "b.tar/2.jpg"]
    warnings = capsys.readouterr().out.splitlines()
    assert len(warnings) == 2
    assert "a.tar" in warnings[0]
    assert "soft.jpg" in warnings[1]


def test_names_do_not_command_the_terminal(data: Path, capsys: pytest.CaptureFixture) -> None:
    link(data / "\x1b[2Jevil\nwarning: forged", "nowhere")
    find_images(data)
    assert "\\x1b[2Jevil\\nwarning: forged\n" in capsys.readouterr().out
    assert visible("é 中 \u202eevil\udc80") == "é 中 \\u202eevil\\udc80"
