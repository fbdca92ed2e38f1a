"""Plays the hub on this machine: a server that knows one repository, and can be as bad as servers are."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

OLD, NEW = "1" * 40, "2" * 40
TOKEN = "a-token"


class FakeHub(ThreadingHTTPServer):
    """One repository `owner/net`, the same files at each of its `commits`; `bad` says what goes wrong."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repository = "owner/net"
        self.files: dict[str, bytes] = {}
        self.commits = {"main": OLD, "v2": NEW, OLD: OLD, NEW: NEW}
        self.bad = ""
        self.sizes: dict[str, int] | None = {}  # said instead of the true ones; None: it says none
        self.asked: list[str] = []
        self.tokens: list[str | None] = []  # that came with the requests
        self.elsewhere = ""  # the address of another server, which files are redirected to

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def about(self, commit: str) -> bytes:
        """Gives the answer about a repository."""
        siblings: list[dict[str, object]] = []
        for name, content in self.files.items():
            entry: dict[str, object] = {"rfilename": name}
            if self.sizes is not None:
                entry["size"] = self.sizes.get(name, len(content))
            if name.endswith((".safetensors", ".bin", ".pth")) and self.bad != "no hashes":
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            siblings.append(entry)
        return json.dumps({"id": self.repository, "sha": commit, "siblings": siblings}).encode()


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_GET(self) -> None:
        hub, path = self.server, unquote(urlsplit(self.path).path)
        hub.asked.append(path)
        hub.tokens.append(self.headers.get("Authorization"))
        if hub.bad in ("gated", "unknown token", "secret"):
            code = {"gated": 403, "unknown token": 401, "secret": 401}[hub.bad]
            name = {"gated": "GatedRepo"}.get(hub.bad, "RepoNotFound")
            return self._fail(code, name)
        if hub.bad == "busy":
            return self._fail(429, "")
        if hub.bad == "no table":
            return self._send(b"<html>welcome to the portal of this hotel</html>")
        about, files = f"/api/models/{hub.repository}/revision/", f"/{hub.repository}/resolve/"
        if path.startswith(about):
            commit = hub.commits.get(path.removeprefix(about))
            return self._send(hub.about(commit)) if commit else self._fail(404, "RevisionNotFound")
        if path.startswith((files, "/cdn/")):
            name = path.removeprefix("/cdn/") if path.startswith("/cdn/") else path.split("/", 5)[5]
            if hub.elsewhere and not path.startswith("/cdn/"):
                self.send_response(302)
                self.send_header("Location", f"{hub.elsewhere}/cdn/{name}")
                self.end_headers()
                return None
            content = hub.files.get(name)
            return self._fail(404, "EntryNotFound") if content is None else self._file(content)
        return self._fail(404, "RepoNotFound")

    def _file(self, content: bytes) -> None:
        bad = self.server.bad
        if bad == "other bytes":
            content = content[:-1] + bytes([content[-1] ^ 1])
        promised = len(content) + 100 * (bad == "too short") - 100 * (bad == "too long")
        if bad == "endless":  # no length is promised, and the connection ends it
            self._endless(content)
            return
        half = bad in ("stalls", "breaks off", "drips")
        self._send(content[: len(content) // 2] if half else content, promised)
        if bad == "stalls":
            time.sleep(3)
        for _ in range(40 if bad == "drips" else 0):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.02)

    def _endless(self, content: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):  # the other side hangs up
            for _ in range(99):
                self.wfile.write(content)

    def _send(self, content: bytes, promised: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) if promised is None else promised))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _fail(self, code: int, name: str) -> None:
        self.send_response(code)
        self.send_header("X-Error-Code", name)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(hub: FakeHub) -> Iterator[FakeHub]:
    """Lets it answer as long as the block lasts."""
    threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
