"""Weights of an address: fetched once, known by content, resumed; or one line, and no part for whole."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from benchmarks.errors import UsageError
from benchmarks.launch.job_file import write_job
from benchmarks.planning import address
from benchmarks.planning.cells import make_cells
from benchmarks.planning.inits import open_inits
from benchmarks.planning.request import Request
from benchmarks.planning.suite import load_suite
from converters.errors import CheckpointError
from tests.transfer.datasets.prepare.bad_server import BadServer, served
from transfer.datasets.image_list.public.row import Remote
from transfer.process import web

FILE = "net.safetensors"

pytestmark = pytest.mark.usefixtures("hub_cache")


@pytest.fixture
def server(raw_weights: bytes) -> Iterator[BadServer]:
    with served() as server:
        server.files[FILE] = server.files[f"{FILE}?key=secret"] = raw_weights
        yield server


def test_weights_come_once_and_the_record_has_their_hash(
    server: BadServer, raw_weights: bytes, request_of: Request, hub_cache: Path
) -> None:
    (init,) = open_inits([server.at("good", FILE)])
    assert (init.label, len(server.asked)) == ("net", 2)  # its size is asked first
    cell = make_cells(load_suite("voc_c4"), [init], request_of)[0]
    job = json.loads(write_job(cell, request_of, "cpu").path.read_text())
    sha256 = hashlib.sha256(raw_weights).hexdigest()
    assert job["record"]["init_manifest"]["source_sha256"] == sha256
    assert job["record"]["init_manifest"]["address"] == server.at("good", FILE)
    assert (hub_cache / "content" / sha256 / FILE).read_bytes() == raw_weights
    server.files.clear()  # what an address meant it goes on meaning
    (again,) = open_inits([f"row={server.at('good', FILE)}"])
    assert (again.label, again.weights_sha256) == ("row", init.weights_sha256)
    assert len(server.asked) == 2


def test_what_follows_the_path_is_a_key_and_in_no_record(server: BadServer, hub_cache: Path) -> None:
    (init,) = open_inits([f"a=b={server.at('good', FILE)}?key=secret"])
    assert init.label == "a=b"
    assert init.backbone is not None
    assert init.backbone.manifest["address"] == server.at("good", FILE)
    assert all(b"secret" not in path.read_bytes() for path in hub_cache.rglob("*.json"))


def test_a_list_has_addresses(server: BadServer, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"one={server.at('good', FILE)}  # mine\n")
    (init,) = open_inits([f"@{tmp_path / 'list.txt'}"])
    assert init.label == "one"


def test_a_download_that_breaks_off_goes_on(
    server: BadServer, raw_weights: bytes, monkeypatch: pytest.MonkeyPatch, hub_cache: Path
) -> None:
    monkeypatch.setattr("transfer.datasets.prepare.fetch.TRIES", 2)
    with pytest.raises(
        UsageError, match=rf"of {len(raw_weights)} bytes came.; try again later, or download it"
    ):
        open_inits([server.at("breaks", FILE)])
    assert list(hub_cache.rglob("*.part"))
    monkeypatch.setattr("transfer.datasets.prepare.fetch.TRIES", 99)
    (init,) = open_inits([server.at("breaks", FILE)])
    assert init.backbone is not None
    assert server.asked[3][1] == 0, "the size is asked"
    assert server.asked[4][1] > len(raw_weights) // 2, "the rest alone"
    assert not list(hub_cache.rglob("*.part"))


def test_a_changed_file_is_not_joined_to_a_part(
    server: BadServer, raw_weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transfer.datasets.prepare.fetch.TRIES", 1)
    with pytest.raises(UsageError):
        open_inits([server.at("breaks", FILE)])
    header = int.from_bytes(raw_weights[:8], "little")
    server.files[FILE] = (
        (header + 1).to_bytes(8, "little") + raw_weights[8 : 8 + header] + b" " + (raw_weights[8 + header :])
    )
    server.asked.clear()
    monkeypatch.setattr("transfer.datasets.prepare.fetch.TRIES", 99)
    (init,) = open_inits([server.at("breaks", FILE)])
    assert init.backbone is not None
    assert server.asked[1][1] == 0


@pytest.mark.parametrize(("how", "message"), [
    ("gone", r"was not fetched .404 Not Found.; download it where there is a connection"),
    ("portal", "what came: "),
])  # fmt: skip
def test_what_is_refused_leaves_nothing(how: str, message: str, server: BadServer, hub_cache: Path) -> None:
    with pytest.raises((UsageError, CheckpointError), match=message):
        open_inits([server.at(how, FILE)])
    assert not [path for path in hub_cache.rglob("*") if path.is_file()]


def test_without_a_connection_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(web, "ask", offline)
    with pytest.raises(UsageError, match=r"was not fetched .*Name or service not known.*; download it where"):
        open_inits(["https://no.such.host/net.pth"])
    (init,) = open_inits(["https://no.such.host/net.pth"], fetch=False)
    assert init.absent == "https://no.such.host/net.pth"


@pytest.mark.parametrize(("headers", "message"), [
    ({}, "the server does not say how large the file is"),
    ({"Content-Length": str(address.LARGEST + 1)}, "the file has 32.0 GiB, and 32 GiB at most are fetched"),
])  # fmt: skip
def test_a_size_that_is_not_taken(
    headers: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Answer:
        def __init__(self) -> None:
            self.headers = headers

        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(web, "ask", lambda *_, **__: Answer())
    with pytest.raises(UsageError, match=message):
        open_inits(["https://host/net.pth"])


@pytest.mark.parametrize(("text", "message"), [
    ("http://example.org/net.pth", "so it is taken from localhost alone; give its https:// address"),
    ("https://me:secret@example.org/net.pth", "^--init: the address at example.org holds a password"),
    ("https://example.org/", "expected the address of a file"),
    ("https://[1/net.pth", "no address"),
    ("https://example.org/a b.pth", "expected the address of a file"),
    ("https://example.org/a\x07.pth", "expected the address of a file"),
    ("https://example.org/a%00.pth", "expected the address of a file"),
    ("https://example.org/a%0a.pth", "expected the address of a file"),
])  # fmt: skip
def test_addresses_that_are_not_taken(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_inits([f"row={text}"])


def test_no_redirect_leads_from_https_to_http() -> None:
    """The handler of every download is asked as urllib asks it."""
    handler = web._SameServerOnly()
    asked = urllib.request.Request("https://host/net.pth")
    with pytest.raises(URLError, match="redirected to http://host/net.pth, which is not https"):
        handler.redirect_request(asked, None, 302, "Found", Message(), "http://host/net.pth")
    moved = handler.redirect_request(asked, None, 302, "Found", Message(), "https://other/net.pth")
    assert moved is not None


@pytest.mark.parametrize(("asked", "to", "followed"), [
    ("http://localhost/net.pth", "http://example.org/net.pth?key=1", False),
    ("http://localhost/net.pth", "http://127.0.0.1:81/net.pth", True),
    ("http://localhost/net.pth", "https://example.org/net.pth", True),
    ("https://example.org/net.pth", "http://localhost/net.pth", False),
    ("http://example.org/set.zip", "http://other.org/set.zip", True),  # a set of data: its hash proves it
    ("http://example.org/set.zip", "ftp://example.org/set.zip", False),
])  # fmt: skip
def test_where_an_address_leads_is_held_against_its_rule(asked: str, to: str, followed: bool) -> None:
    handler, request = web._SameServerOnly(), urllib.request.Request(asked)
    if followed:
        assert handler.redirect_request(request, None, 302, "Found", Message(), to) is not None
        return
    with pytest.raises(URLError, match=rf"redirected to {to.partition('?')[0]}, which is not https"):
        handler.redirect_request(request, None, 302, "Found", Message(), to)


def test_nothing_but_the_web_is_asked() -> None:
    for text in ("file:///etc/hostname", "ftp://example.org/net.pth"):
        with pytest.raises(URLError, match="is neither http nor https"):
            web.ask(text)


@pytest.mark.parametrize("how", ["gone", "portal", "breaks"])
def test_no_error_shows_a_key(how: str, server: BadServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transfer.datasets.prepare.fetch.TRIES", 2)
    with pytest.raises((UsageError, CheckpointError)) as caught:
        open_inits([f"{server.at(how, FILE)}?key=secret"])
    assert server.at(how, FILE) in str(caught.value)
    assert "secret" not in str(caught.value)
    (init,) = open_inits(["https://host/net.pth?key=secret"], fetch=False)
    assert init.absent == "https://host/net.pth"


def test_two_commands_with_one_address_fetch_it_once(
    server: BadServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, text = address._fetched, server.at("good", FILE)
    begun = threading.Event()

    def slow(one: str) -> address.Known:
        begun.set()
        time.sleep(0.2)
        return real(one)

    monkeypatch.setattr(address, "_fetched", slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(open_inits, [text])
        begun.wait(5)
        second = pool.submit(open_inits, [text])
        found = [one.result()[0].weights_sha256 for one in (first, second)]
    assert found[0] == found[1]
    assert [begin for _, begin in server.asked] == [0, 0], "its size, and itself"
    assert f"--init {text}: another process does the same; waiting for it" in capsys.readouterr().err


def test_a_part_of_another_process_stays(
    server: BadServer, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = address.fetch

    def fetch(one: Remote, folder: Path, *rest: Any) -> Path:
        path = real(one, folder, *rest)
        (folder / "other.part").write_bytes(b"")
        return path

    monkeypatch.setattr(address, "fetch", fetch)
    (init,) = open_inits([server.at("good", FILE)])
    assert init.backbone is not None
    assert list(hub_cache.rglob("other.part"))
