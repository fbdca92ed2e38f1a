"""Serves files on this machine as badly as asked: the first part of an address says how."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class BadServer(ThreadingHTTPServer):
    """`/good/FILE` is served well, with ranges; `asked` has how, and from which byte, each time."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, int]] = []

    def at(self, how: str, file: str) -> str:
        """The address of a file that is served so."""
        return f"http://127.0.0.1:{self.server_port}/{how}/{file}"


class _Handler(BaseHTTPRequestHandler):
    server: BadServer

    def do_GET(self) -> None:
        _, how, file = self.path.split("/", 2)
        said = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        begin = int(said[1]) if said else 0
        self.server.asked.append((how, begin))
        whole = self.server.files[file]
        if how == "gone":
            return self._send(404, b"", 0)
        if how == "portal":
            return self._send(200, b"<html>welcome to the portal of this hotel</html>")
        if how in ("lies", "lies-and-breaks"):
            whole = whole[:-1] + bytes([whole[-1] ^ 1])
        if how == "no-ranges":
            begin = 0
        if begin >= len(whole):
            return self._send(416, b"", 0, begin, len(whole))
        rest = whole[begin:]
        code = 206 if begin else 200
        if how in ("breaks", "lies-and-breaks"):  # a third of what is missing, and no more
            return self._send(code, rest[: max(len(rest) // 3, 1)], len(rest), begin, len(whole))
        if how == "stalls":
            self._send(code, rest[: len(rest) // 3], len(rest), begin, len(whole))
            time.sleep(1.5)
            return None
        if how == "too-long":
            return self._send(200, whole + b"more")
        return self._send(code, rest, len(rest), begin, len(whole))

    def _send(self, code: int, content: bytes, length: int = -1, begin: int = 0, whole: int = 0) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(content) if length < 0 else length))
        if code == 206:
            self.send_header("Content-Range", f"bytes {begin}-{whole - 1}/{whole}")
        if code == 416:
            self.send_header("Content-Range", f"bytes */{whole}")
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served() -> Iterator[BadServer]:
    """A server that answers as long as the block lasts."""
    server = BadServer()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
