"""Opens addresses for downloads: follows redirects, and shows a token to no other server."""

from __future__ import annotations

import os
import urllib.request
from http.client import HTTPException, HTTPMessage
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

TIMEOUT_S = 30
ENDPOINT = "HF_ENDPOINT"  # the variable that the hub's own library reads
FAILURES = (OSError, HTTPException, ValueError, RecursionError)  # all that a download may raise


class _SameServerOnly(urllib.request.HTTPRedirectHandler):
    """Follows a redirect with the token only where it stays on the server that the token is for.

    From https it never follows to plain http, on which anybody on the way can change what comes.
    """

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise URLError(f"redirected to {newurl}, which is not https")
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        token = req.unredirected_hdrs.get("Authorization")
        if new is not None and token and urlsplit(new.full_url)[:2] == urlsplit(req.full_url)[:2]:
            new.add_unredirected_header("Authorization", token)
        return new


def ask(address: str, token: str = "", timeout: float = TIMEOUT_S, begin: int = 0) -> Any:
    """Opens an address, its redirects followed; the token is shown to no other server. FAILURES pass.

    timeout: seconds of silence. begin: the first byte that is asked for; the server may send all the same.
    """
    request = urllib.request.Request(address)
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    if begin:
        request.add_header("Range", f"bytes={begin}-")
    return urllib.request.build_opener(_SameServerOnly).open(request, timeout=timeout)


def why(error: BaseException) -> str:
    """Says in a few words why a download failed."""
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)


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
