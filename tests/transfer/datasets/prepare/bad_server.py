"""Serves files on this machine as badly as asked: the first part of an address says how, or chance does."""

from __future__ import annotations

import random
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What `/moody/FILE` does, one by chance each time it is asked.
MOODS = (
    "good", "gone", "busy", "portal", "flips", "breaks", "resets", "stalls", "drips", "short", "empty",
    "claims-more", "too-long", "no-ranges", "wrong-range", "no-length", "loop", "no-number", "no-http",
    "endless",
)  # fmt: skip
ENDLESS = 1000  # times 64 KB: as many as a test can bear


class BadServer(ThreadingHTTPServer):
    """`/good/FILE` is served well, with ranges; `asked` has how, and from which byte, each time."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, int]] = []
        self.random = random.Random(0)
        self.moods: list[str] = []

    def handle_error(self, *_: object) -> None:
        """Says nothing of a client that hung up."""

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
        if how == "moody":
            return self._moody(whole, file, begin)
        if how == "gone":
            return self._send(404, b"", 0)
        if how in ("loop", "no-length", "endless"):
            return self._unusual(how, whole)
        if how == "drips":
            return self._hang(how, 206 if begin else 200, b"", begin, whole)
        if how == "portal":
            return self._send(200, b"<html>welcome to the portal of this hotel</html>")
        if how in ("lies", "lies-and-breaks"):
            whole = whole[:-1] + bytes([whole[-1] ^ 1])
        if how == "no-ranges":
            begin = 0
        if how == "wrong-range":
            return self._send(206, whole[9:], -1, 9, len(whole))
        if how == "half":  # of what is missing, and calls it all that was asked for
            end = begin + max((len(whole) - begin) // 2, 1)
            return self._send(206, whole[begin:end], -1, begin, len(whole))
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

    def _moody(self, whole: bytes, file: str, begin: int) -> None:
        """Answers in a mood; nothing is flipped in a bare file, for which nobody has published a hash."""
        chance = self.server.random
        mood = chance.choice((*MOODS, "good"))
        self.server.moods.append(mood)
        if begin >= len(whole):
            return self._send(416, b"", 0, begin, len(whole))
        rest, code = whole[begin:], 206 if begin else 200
        some = rest[: chance.randrange(len(rest))]
        at = chance.randrange(len(rest))
        if mood == "flips" and not file.endswith(".json"):
            rest = rest[:at] + bytes([rest[at] ^ 1 << chance.randrange(8)]) + rest[at + 1 :]
        if mood in ("gone", "busy"):
            return self._send({"gone": 404, "busy": 503}[mood], b"", 0)
        if mood == "portal":
            return self._send(200, b"<html>welcome to the portal of this hotel</html>")
        if mood == "breaks":
            return self._send(code, some, len(rest), begin, len(whole))
        if mood in ("resets", "stalls", "drips"):
            return self._hang(mood, code, some, begin, whole)
        if mood in ("short", "empty"):
            return self._send(code, some if mood == "short" else b"", -1, begin, len(whole))
        if mood == "claims-more":
            return self._send(code, rest, len(rest) + 9, begin, len(whole) + 9)
        if mood == "too-long":
            return self._send(200, whole + b"more")
        if mood == "no-ranges":
            return self._send(200, whole)
        if mood == "wrong-range" and begin:
            return self._send(206, whole[begin // 2 :], -1, begin // 2, len(whole))
        if mood in ("no-length", "no-number", "loop", "no-http", "endless"):
            return self._unusual(mood, some)
        return self._send(code, rest, len(rest), begin, len(whole))

    def _hang(self, mood: str, code: int, some: bytes, begin: int, whole: bytes) -> None:
        """Sends a part, and then resets the connection, says no more, or drips."""
        self._send(code, some, len(whole) - begin, begin, len(whole))
        if mood == "resets":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif mood == "stalls":
            time.sleep(0.05)
        else:
            rest = whole[begin + len(some) :]
            for i in range(min(len(rest), 20)):
                self.wfile.write(rest[i : i + 1])
                self.wfile.flush()
                time.sleep(0.01)

    def _unusual(self, mood: str, some: bytes) -> None:
        """Says not how long it is, or in words, or never ends; sends one on and on; speaks no HTTP."""
        if mood == "no-http":
            self.wfile.write(b"220 ready\r\n" + some[:50])
            return
        self.send_response(302 if mood == "loop" else 200)
        if mood == "no-number":
            self.send_header("Content-Length", "plenty")
        if mood == "loop":
            self.send_header("Location", self.path.replace("moody", "loop"))
            self.send_header("Content-Length", "0")
        self.end_headers()
        if mood != "loop":
            self.wfile.write(some)
        for _ in range(ENDLESS if mood == "endless" else 0):
            self.wfile.write(bytes(1 << 16))

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
