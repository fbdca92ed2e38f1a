"""Public sets are fetched from servers that stall, break off and lie, and are there whole or not at all."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.transfer.datasets.image_list.public.layouts import WRITERS
from tests.transfer.datasets.prepare.archives import FILE, remote
from tests.transfer.datasets.prepare.bad_server import BadServer
from transfer.datasets.check import main
from transfer.datasets.image_list.public.row import Remote
from transfer.datasets.image_list.public.table import ROWS, read_parts, set_names
from transfer.datasets.prepare import prepare as preparing
from transfer.datasets.prepare.prepare import prepare
from transfer.datasets.prepare.sets import SETS, names, wanted
from transfer.datasets.prepare.unpack import unpack
from transfer.datasets.prepare.wanted import Part, Wanted
from transfer.errors import DataError


class Usage(NamedTuple):
    """A disk as it speaks of itself."""

    total: int
    used: int
    free: int


def dtd(tmp_path: Path, *remotes: Remote) -> Wanted:
    row = WRITERS["dtd"](tmp_path / "facts")

    def check(root: Path) -> str:
        return ", ".join(f"{part} {len(images)}" for part, images in read_parts(row, root).items())

    return Wanted("dtd", "textures", (Part((row.folder,), remotes, 10_000, check),))


@pytest.mark.parametrize(("how", "said"), [
    (("gone",), r"gone/dtd.tar.gz \(404 Not Found\); try again later, or put dtd.tar.gz into .*"),
    (("lies", "gone"), r"lies/dtd.tar.gz \(its SHA256 is .*expected .*gone/dtd.tar.gz \(404"),
    (("portal",), r"the server has 48 bytes, expected \d+"),
    (("stalls",), "timed out"),
    (("breaks",), r"\d+ of \d+ bytes came"),
])  # fmt: skip
def test_where_no_server_gives_it_a_line_says_why(
    how: tuple[str, ...], said: str, server: BadServer, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said) as caught:
        prepare(dtd(tmp_path, remote(server, *how)), tmp_path / "root", lambda line: None)
    assert "\n" not in str(caught.value)
    kept = [p for p in (tmp_path / "root").rglob("*") if p.is_file()]
    assert all(path.name == f"{FILE}.part" for path in kept)
    assert bool(kept) == (how in (("stalls",), ("breaks",))), "only what may be right is kept"


def test_a_set_is_there_whole_and_a_second_call_finds_it(server: BadServer, tmp_path: Path) -> None:
    said: list[str] = []
    what = dtd(tmp_path, remote(server, "good"))
    line = prepare(what, tmp_path / "root", said.append)
    assert line.endswith("dtd/dtd: train 6, val 6, test 6")
    assert said[0] == "dtd: textures"
    assert "to fetch" in said[1]
    assert "are free under" in said[1]
    assert [p.name for p in (tmp_path / "root").iterdir()] == ["dtd"], "no archive is left"
    asked = len(server.asked)
    assert prepare(what, tmp_path / "root", said.append).startswith("dtd: is there already")
    assert len(server.asked) == asked


def test_a_place_is_moved_there_and_not_written_there(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside: set[int] = set()
    real = preparing.unpack

    def unpack(one: Remote, archive: Path, folder: Path, most: int) -> int:
        count = real(one, archive, folder, most)
        aside.update(p.stat().st_ino for p in folder.rglob("*") if p.is_file())
        assert not (tmp_path / "root/dtd").exists()
        return count

    monkeypatch.setattr(preparing, "unpack", unpack)
    prepare(dtd(tmp_path, remote(server, "good")), tmp_path / "root", lambda line: None)
    there = {p.stat().st_ino for p in (tmp_path / "root/dtd").rglob("*") if p.is_file()}
    assert there == aside, "the very files"


def test_what_is_in_the_way_is_not_touched(server: BadServer, tmp_path: Path) -> None:
    what = dtd(tmp_path, remote(server, "good"))
    prepare(what, tmp_path / "root", lambda line: None)
    gone = next((tmp_path / "root/dtd/dtd/images").rglob("*.jpg"))
    gone.unlink()
    with pytest.raises(DataError, match=f"{gone.name} is missing.*is in the way: move it aside"):
        prepare(what, tmp_path / "root", lambda line: None)


@pytest.mark.parametrize("proof", [True, False])
def test_an_archive_of_another_set_is_not_put_into_place(
    proof: bool, server: BadServer, tmp_path: Path
) -> None:
    other = io.BytesIO()
    with tarfile.open(fileobj=other, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("dtd/labels/train1.txt"), io.BytesIO(b""))
    server.files[FILE] = other.getvalue()
    says = (
        "remove it to fetch it again"
        if proof
        else "no hash of dtd.tar.gz is published, and it is not the file"
    )
    with pytest.raises(DataError, match=f"val1.txt: No such file.*{says}"):
        prepare(dtd(tmp_path, remote(server, "good", proof=proof)), tmp_path / "root", lambda line: None)
    assert not (tmp_path / "root/dtd").exists()
    left = [path.name for path in (tmp_path / "root/downloads").rglob("*") if path.is_file()]
    assert left == [FILE] * proof, "what nothing proves is fetched anew by the next call"


def test_a_file_that_was_brought_is_left_where_it_is(server: BadServer, tmp_path: Path) -> None:
    brought = tmp_path / "root/downloads/dtd" / FILE
    brought.parent.mkdir(parents=True)
    brought.write_bytes(b"not it")
    with pytest.raises(DataError, match="remove it to fetch it again"):
        prepare(dtd(tmp_path, remote(server, "good", proof=False)), tmp_path / "root", lambda line: None)
    assert brought.read_bytes() == b"not it"


def test_a_file_in_place_of_the_downloads_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "downloads").write_text("a file")
    assert main(["prepare", "dtd", "--data-root", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {tmp_path}/downloads/dtd: Not a directory"


def test_disk_is_looked_at_first(server: BadServer, tmp_path: Path) -> None:
    what = Wanted("dtd", "", (Part(("dtd/dtd",), (remote(server, "good"),), 1 << 60, lambda root: ""),))
    with pytest.raises(DataError, match=r"to fetch .* GB are free under .*; make room"):
        prepare(what, tmp_path, lambda line: None)
    assert server.asked == []


def test_a_broken_archive_is_named(tmp_path: Path, archive: bytes) -> None:
    (tmp_path / FILE).write_bytes(archive[: len(archive) // 2])
    with pytest.raises(DataError, match="dtd.tar.gz: cannot be unpacked .*; remove it and fetch it again"):
        unpack(Remote(FILE, (), ""), tmp_path / FILE, tmp_path / "root", 10**6)


def test_every_set_can_be_had_or_says_how() -> None:
    assert names() == [*(one.name for one in SETS), *set_names(), "roxford5k", "rparis6k"]
    unproven = {"roxford5k", "rparis6k", "densepose", "lvis_v0.5"}
    for name in names():
        what = wanted(name)
        remotes = [remote for part in what.parts for remote in part.remotes]
        assert "licence: " in what.about
        assert bool(remotes) != bool(what.by_hand)
        assert all(part.disk > 0 and part.places for part in what.parts)
        assert all(remote.addresses and (remote.proof[0] or name in unproven) for remote in remotes)
        assert all(wanted(split) is what for split in what.splits)
        assert all(wanted(need).parts for need in what.needs)
    assert sum(len(one.addresses) > 1 for row in ROWS.values() for one in row.remotes) >= 14
    assert all(len(one.addresses) > 1 for what in SETS for part in what.parts for one in part.remotes)


def test_by_hand_is_a_line_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "cars", "imagenet", "cityscapes", "--root", str(tmp_path / "no")]) == 2
    first, second, third = capsys.readouterr().err.splitlines()
    assert third.startswith(
        "error: cityscapes: cannot be downloaded; cityscapes-dataset.com wants a login: bring"
    )
    assert first.startswith("error: cars: cannot be downloaded; its address is dead: bring cars_train.tgz")
    assert second.startswith("error: imagenet: cannot be downloaded; image-net.org wants a login")
    assert not (tmp_path / "no").exists()
    assert main(["prepare", "foo101", "--root", str(tmp_path)]) == 2
    assert "did you mean food101" in capsys.readouterr().err


def test_what_a_set_needs_comes_with_it_and_disk_is_said_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(one: Remote, folder: Path, most: int) -> Path:
        asked.append(one.file)
        raise DataError(f"{one.file}: no connection")

    monkeypatch.setattr(preparing, "fetch", fetch)
    monkeypatch.setattr(preparing.shutil, "disk_usage", lambda path: Usage(10**12, 0, 10**12))
    said: list[str] = []
    failed = preparing.prepare_all(["lvis_v1_val", "coco2017"], tmp_path, said.append)
    assert asked == ["annotations_trainval2017.zip", "lvis_v1_train.json.zip"]
    assert failed == [f"{file}: no connection" for file in asked]
    assert said[0].startswith(
        "coco2017, lvis_v1: 20.82 GB to fetch (0.00 GB are there), about 41.64 GB of disk"
    )
    monkeypatch.setattr(preparing.shutil, "disk_usage", lambda path: Usage(10**12, 0, 40 * 10**9))
    (line,) = preparing.prepare_all(["lvis_v1", "coco2017"], tmp_path, said.append)
    assert line.endswith("40.00 GB are free under " + f"{tmp_path}; make room, or give another --data-root")
