"""Weights known by name: fetched once, proven before they are in the cache, or one line about what to do."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.errors import UsageError
from benchmarks.planning import named_weights as weights
from benchmarks.planning.inits import open_inits
from benchmarks.planning.named_weights import KNOWN, cached
from benchmarks.run import main

FILE = "resnet50-0676ba61.pth"


class _Server(ThreadingHTTPServer):
    body = b""
    promised: int | None = None  # more than there is: a download that breaks off
    asked = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.path == "/gone":
            self.send_error(404, "Not Found")
            return
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.promised or len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOCO_TRANSFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _serve(
    monkeypatch: pytest.MonkeyPatch, name: str, server: _Server, path: str = "/file", **changes: str
) -> None:
    """Lets the weights of that name come from our server."""
    address = f"http://127.0.0.1:{server.server_port}{path}"
    known = dataclasses.replace(KNOWN[name], address=lambda: address, **changes)
    monkeypatch.setitem(weights.KNOWN, name, known)


def _refuse(name: str, cache: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The command line's one error line; nothing must be left behind."""
    output = cache.parent / "runs"
    options = ["--suite", "voc_c4", "--engine", "torchvision", "--output", str(output), "--init", name]
    assert main(options) == 2
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in captured.err
    assert "put it there" in line
    assert KNOWN[name].file in line
    assert list(cache.glob("*")) == [], "half a file"
    assert list(cache.glob(".*")) == [], "half a file"
    assert not output.exists()
    return line


def test_success_is_kept_and_asked_for_once(
    server: _Server, cache: Path, monkeypatch: pytest.MonkeyPatch, narrow_backbone: Path
) -> None:
    server.body = narrow_backbone.read_bytes()
    _serve(monkeypatch, "supervised", server, sha256=hashlib.sha256(server.body).hexdigest()[:8])
    init = open_inits(["supervised"])[0]
    assert init.label == "supervised"
    assert init.backbone is not None
    assert (cache / FILE).read_bytes() == server.body
    assert open_inits(["row=supervised"])[0].label == "row"
    assert server.asked == 1


def test_a_wrong_hash_is_not_kept(
    server: _Server, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.body = b"something else"
    _serve(monkeypatch, "supervised", server)
    found = hashlib.sha256(server.body).hexdigest()[:16]
    assert f"its SHA-256 is {found}..., expected 0676ba61" in _refuse("supervised", cache, capsys)


def test_a_download_that_breaks_off_is_not_kept(
    server: _Server, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.body, server.promised = b"half", 8
    _serve(monkeypatch, "supervised", server)
    assert "4 of 8 bytes came" in _refuse("supervised", cache, capsys)


def test_a_page_that_is_gone(
    server: _Server, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _serve(monkeypatch, "supervised", server, "/gone")
    assert "Not Found" in _refuse("supervised", cache, capsys)


def test_no_network(
    server: _Server, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _serve(monkeypatch, "supervised", server)
    server.shutdown()
    server.server_close()
    assert "refused" in _refuse("supervised", cache, capsys)


def test_an_address_that_nobody_here_knows(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(weights.KNOWN, "msra", dataclasses.replace(KNOWN["msra"], address=lambda: None))
    assert "detectron2://ImageNetPretrained/MSRA/R-50.pkl" in _refuse("msra", cache, capsys)


def test_a_cache_that_cannot_be_made(
    server: _Server, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.write_text("a file where the folder should be")
    _serve(monkeypatch, "supervised", server)
    assert "File exists" in _refuse("supervised", cache, capsys)


def test_without_a_published_hash_the_content_proves_itself_and_its_hash_is_kept(
    server: _Server,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    narrow_backbone: Path,
) -> None:
    server.body = b"<!DOCTYPE html><html>404</html>"
    _serve(monkeypatch, "msra", server)
    assert "HTML" in _refuse("msra", cache, capsys)
    server.body = narrow_backbone.read_bytes()
    path = cached("msra")
    assert path.with_name("R-50.pkl.sha256").read_text().strip() == hashlib.sha256(server.body).hexdigest()
    assert cached("msra") == path
    path.write_bytes(server.body + b"x")
    with pytest.raises(UsageError, match="is damaged .* the next call gets it again"):
        cached("msra")


def test_a_damaged_file_is_not_used(cache: Path) -> None:
    cache.mkdir()
    (cache / FILE).write_bytes(b"something else")
    with pytest.raises(UsageError, match="is damaged .* does not begin with 0676ba61"):
        open_inits(["supervised"])[0]


def test_the_libraries_know_the_addresses() -> None:
    address = KNOWN["supervised"].address()
    assert address is not None
    assert address.endswith(KNOWN["supervised"].file)
    zoo = KNOWN["msra"].address()
    assert zoo is None or zoo.endswith("/detectron2/ImageNetPretrained/MSRA/R-50.pkl")
