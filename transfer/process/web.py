"""Opens addresses for downloads and takes what comes, within bounds; shows a token to no other server."""

from __future__ import annotations

import os
import re
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException, HTTPMessage
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

TIMEOUT_S = 30
SLOW_S, SLOWEST = 60.0, 1000  # a server that drips fewer bytes a second, for so long, is left
CHUNK = 1 << 20  # bytes that are taken at once, at most
HERE = ("localhost", "127.0.0.1", "::1")  # the one machine whose plain http nobody can change on the way
ENDPOINT = "HF_ENDPOINT"  # the variable that the hub's own library reads
FAILURES = (OSError, HTTPException, ValueError, RecursionError)  # all that a download may raise


class Refused(ValueError):
    """Says that what came is not the file; nothing of it is kept."""


class _SameServerOnly(urllib.request.HTTPRedirectHandler):
    """Follows a redirect with the token only where it stays on the server that the token is for.

    From https and from this machine it never follows to plain http elsewhere, on which anybody on the way can
    change what comes; and never to anything but the two.
    """

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if not _is_followed(req.full_url, newurl):
            raise URLError(f"redirected to {told(newurl)}, which is not https")
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        token = req.unredirected_hdrs.get("Authorization")
        if new is not None and token and urlsplit(new.full_url)[:2] == urlsplit(req.full_url)[:2]:
            new.add_unredirected_header("Authorization", token)
        return new


def _is_followed(address: str, to: str) -> bool:
    old, new = urlsplit(address), urlsplit(to)
    plain = old.scheme == new.scheme == "http" and (old.hostname not in HERE or new.hostname in HERE)
    return new.scheme == "https" or plain


def ask(address: str, token: str = "", timeout: float = TIMEOUT_S, begin: int = 0) -> Any:
    """Opens an address, its redirects followed; the token is shown to no other server. FAILURES pass.

    timeout: seconds of silence. begin: the first byte that is asked for; the server may send all the same.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise URLError(f"{told(address)} is neither http nor https")
    request = urllib.request.Request(address)
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    if begin:
        request.add_header("Range", f"bytes={begin}-")
    return urllib.request.build_opener(_SameServerOnly).open(request, timeout=timeout)


def received(answer: Any, most: int, begin: int = 0) -> Iterator[bytes]:
    """Yields what comes, as it comes, of a file of which `begin` bytes are here already.

    Refused as soon as there are more than `most` bytes of it; TimeoutError where the server drips.
    """
    came = watched = begin
    since = time.monotonic()
    while chunk := answer.read1(CHUNK):
        came += len(chunk)
        if came > most:
            raise Refused(f"more than {most} bytes came")
        if time.monotonic() - since > SLOW_S:
            if came - watched < SLOWEST * SLOW_S:
                raise TimeoutError(f"less than {SLOWEST} bytes a second for {SLOW_S:g} s")
            watched, since = came, time.monotonic()
        yield chunk


def why(error: BaseException) -> str:
    """Says in a few words why a download failed."""
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)


def told(address: str) -> str:
    """The address as it is shown and kept: a password, and what follows the path, are nobody's business."""
    return re.sub("//[^/]*@", "//", re.split("[?#]", address, maxsplit=1)[0], count=1)


def hub_endpoint() -> str:
    """The hub's server: $HF_ENDPOINT, else what its installed library knows, else empty."""
    said = os.environ.get(ENDPOINT, "").rstrip("/")
    if said:
        return said
    try:
        from huggingface_hub.constants import ENDPOINT as known
    except ImportError:
        return ""
    return str(known).rstrip("/")
