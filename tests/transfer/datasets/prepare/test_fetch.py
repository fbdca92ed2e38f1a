"""A file is fetched from servers that stall, drip, break off and lie, and is there whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import resource
import shutil
import signal
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.transfer.datasets.prepare.archives import FILE, remote
from tests.transfer.datasets.prepare.bad_server import BadServer
from transfer.datasets.image_list.public.row import Remote
from transfer.datasets.prepare import fetch as fetching
from transfer.errors import DataError, DiskError, TransferError
from transfer.process import web

fetch = partial(fetching.fetch, most=10**6)


@pytest.mark.parametrize(("how", "asked"), [
    (("good",), ["good"]),
    (("gone", "good"), ["gone", "good"]),
    (("lies", "good"), ["lies", "good"]),
    (("portal", "good"), ["portal", "good"]),
    (("too-long", "good"), ["too-long", "good"]),
    (("stalls", "good"), ["stalls"] * 4 + ["good"]),
    (("breaks", "good"), ["breaks"] * 4 + ["good"]),
])  # fmt: skip
def test_the_first_server_that_gives_it_whole(
    how: tuple[str, ...], asked: list[str], server: BadServer, tmp_path: Path
) -> None:
    path = fetch(remote(server, *how), tmp_path)
    assert path.read_bytes() == server.files[FILE]
    assert [one for one, _ in server.asked] == asked
    assert [p.name for p in tmp_path.iterdir()] == [FILE], "nothing is left behind"
    begins = [begin for one, begin in server.asked if one in ("stalls", "breaks")]
    assert begins == sorted(set(begins)), "each try goes on where the one before ended"
    if how[0] in ("stalls", "breaks"):
        assert server.asked[-1][1] > begins[-1] > 0, "and so does the next server"


def test_no_more_is_taken_than_the_file_has(server: BadServer, tmp_path: Path) -> None:
    size = len(server.files[FILE])
    unknown = replace(remote(server, "endless", "good"), size=0)
    assert fetching.fetch(unknown, tmp_path / "a", size).read_bytes() == server.files[FILE]
    with pytest.raises(DataError, match=rf"endless/{FILE} \(more than {size + 5} bytes came\)"):
        fetching.fetch(replace(unknown, addresses=unknown.addresses[:1]), tmp_path / "b", size + 5)
    with pytest.raises(DataError, match=rf"more than {size} bytes came"):
        fetch(remote(server, "endless"), tmp_path / "c")
    with pytest.raises(DataError, match=rf"the server has {size} bytes, and 9 at most are taken"):
        fetching.fetch(replace(unknown, addresses=unknown.addresses[1:]), tmp_path / "d", 9)
    assert not [path for name in "bcd" for path in (tmp_path / name).iterdir()]


@pytest.mark.parametrize("there", [0, 1000])
def test_another_part_than_was_asked_for_is_refused(there: int, server: BadServer, tmp_path: Path) -> None:
    bare = Remote(FILE, (server.at("wrong-range", FILE),), "dtd")  # nothing else would tell
    if there:
        (tmp_path / f"{FILE}.part").write_bytes(server.files[FILE][:there])
    with pytest.raises(DataError, match=rf"asked for what begins at byte {there}, the server sent 'bytes 9-"):
        fetch(bare, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_part_is_held_against_the_whole_that_it_names(server: BadServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"\d+ of {len(server.files[FILE])} bytes came"):
        fetch(Remote(FILE, (server.at("half", FILE),), "dtd"), tmp_path)
    assert server.asked[-1][1] > server.asked[0][1], "what came is kept, and the next try goes on"


@pytest.mark.parametrize("at", ["folder", FILE, f"{FILE}.part"])
def test_what_is_in_the_way_is_one_line(at: str, server: BadServer, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    if at == "folder":
        folder.write_text("a file")
    else:
        (folder / at).mkdir(parents=True)
    with pytest.raises(DiskError, match=rf"{at}: (File exists|Is a directory)$"):
        fetch(replace(remote(server, "good"), size=0), folder)


def test_a_fetch_that_was_stopped_goes_on(server: BadServer, tmp_path: Path) -> None:
    content = server.files[FILE]
    (tmp_path / f"{FILE}.part").write_bytes(content[:1000])
    fetch(remote(server, "good"), tmp_path)
    assert server.asked == [("good", 1000)]
    (tmp_path / FILE).unlink()
    (tmp_path / f"{FILE}.part").write_bytes(content[:1000])
    fetch(remote(server, "no-ranges"), tmp_path)
    assert (tmp_path / FILE).read_bytes() == content
    fetch(remote(server, "gone"), tmp_path)
    assert len(server.asked) == 2, "what is there is proven, not fetched"


def test_a_whole_part_is_taken_though_nothing_is_known_of_it(server: BadServer, tmp_path: Path) -> None:
    content = server.files[FILE]
    (tmp_path / f"{FILE}.part").write_bytes(content)
    assert fetch(remote(server, "good", proof=False), tmp_path).read_bytes() == content
    assert server.asked == [("good", len(content))]


def test_a_part_of_a_liar_costs_one_more_try(server: BadServer, tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.part").write_bytes(b"x" * 1000)
    assert fetch(remote(server, "good"), tmp_path).read_bytes() == server.files[FILE]
    assert server.asked == [("good", 1000), ("good", 0)]
    (tmp_path / FILE).rename(tmp_path / f"{FILE}.part")
    (tmp_path / f"{FILE}.part").write_bytes(b"x" * 1000)
    fetch(remote(server, "lies", "good"), tmp_path)
    assert server.asked[2:] == [("lies", 1000), ("lies", 0), ("good", 0)], (
        "a liar is asked once more, not ever"
    )
    (tmp_path / FILE).unlink()
    (tmp_path / f"{FILE}.part").write_bytes(b"x" * (len(server.files[FILE]) + 5))
    assert fetch(remote(server, "good"), tmp_path).read_bytes() == server.files[FILE]


@pytest.mark.parametrize(("how", "said"), [("loop", "infinite loop"), ("no-length", "how long the file is")])
def test_strange_answers_are_one_line(how: str, said: str, server: BadServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said) as caught:
        fetch(remote(server, how, proof=False), tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_server_that_drips_is_left(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "SLOW_S", 0.05)
    fetch(remote(server, "drips", "good"), tmp_path)
    assert [how for how, _ in server.asked] == ["drips"] * 4 + ["good"]
    with pytest.raises(DataError, match=r"less than 1000 bytes a second for 0.05 s"):
        fetch(remote(server, "drips"), tmp_path / "other")


def test_sha1_is_held_against_too(server: BadServer, tmp_path: Path) -> None:
    one = Remote(FILE, (server.at("lies", FILE),), "", sha1=hashlib.sha1(server.files[FILE]).hexdigest())
    with pytest.raises(DataError, match="its SHA1 is"):
        fetch(one, tmp_path)
    fetch(replace(one, addresses=(server.at("good", FILE),)), tmp_path)


def test_without_a_connection_a_line_says_where_to_put_it(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/{FILE}"
    with pytest.raises(DataError, match=r"no connection \(offline\?\); go online, or put dtd.tar.gz into"):
        fetch(Remote(FILE, (address,), ""), tmp_path)


def test_the_hub_needs_its_address(
    tmp_path: Path, server: BadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Remote(FILE, (f"hub:good/{FILE}",), "")
    monkeypatch.setenv("HF_ENDPOINT", server.at("x", "").removesuffix("/x/"))
    assert fetch(hub, tmp_path).read_bytes() == server.files[FILE]
    monkeypatch.setattr("transfer.process.web.hub_endpoint", lambda: "")
    with pytest.raises(DataError, match="the hub's address is not known here"):
        fetch(hub, tmp_path / "other")


def test_two_processes_do_not_fetch_one_file(server: BadServer, tmp_path: Path) -> None:
    with (tmp_path / f"{FILE}.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process is fetching it"):
            fetch(remote(server, "good"), tmp_path)


def test_a_full_disk_is_nobodys_fault(server: BadServer, tmp_path: Path) -> None:
    def small() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    small()
    try:
        with pytest.raises(TransferError, match=r"dtd.tar.gz.part: File too large .*make room"):
            fetch(remote(server, "good", "good"), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(server.asked) == 1, "another server has no more room either"


def test_a_disk_without_room_is_said_before_anything_comes(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(server.files[FILE])
    (tmp_path / f"{FILE}.part").write_bytes(server.files[FILE][:1000])
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=size - 1001))
    with pytest.raises(
        DiskError, match="the disk is too small .0.0 MB are needed, 0.0 MB are free.; make ro"
    ):
        fetch(remote(server, "good"), tmp_path)
    assert (tmp_path / f"{FILE}.part").stat().st_size == 1000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=size - 1000))
    assert fetch(remote(server, "good"), tmp_path).read_bytes() == server.files[FILE]
