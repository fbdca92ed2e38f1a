"""Takes weights of an address, `https://...`, from the cache, or fetches them into it once, proven.

A file lies in the cache under its SHA-256, and a note says which one an address gave. What an address once
meant it goes on meaning, so a grid goes on with the weights that it began with, offline too. Reading what
came runs none of its code.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit

from boltons.fileutils import atomic_save

from benchmarks.errors import UsageError
from benchmarks.planning.download import file_sha256
from converters.backbone import Backbone
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from transfer.datasets.image_list.public.row import Remote
from transfer.datasets.prepare.fetch import fetch
from transfer.errors import TransferError
from transfer.process import web
from transfer.process.cache import cache_folder

FORM = "https://ADDRESS"
LARGEST = 32 << 30  # bytes; the largest published vision transformers have 27 GB
HERE = ("localhost", "127.0.0.1", "::1")  # the one machine from which plain http is taken


@dataclass(frozen=True)
class Known:
    """Says which file an address gave; kept as JSON in the cache."""

    address: str
    file: str
    sha256: str

    @property
    def path(self) -> Path:
        return cache_folder() / "content" / self.sha256 / self.file


def is_address(text: str) -> bool:
    """Whether an init is written as an address of the web, well or badly."""
    return re.match(r"https?://", text, re.IGNORECASE) is not None


def file_of(address: str) -> str:
    """The name of the file behind an address, by its path; empty where that has none."""
    try:
        return unquote(urlsplit(address).path).rpartition("/")[2]
    except ValueError:  # `_check` says so
        return ""


def at_hand(address: str) -> bool:
    """Whether the weights are in the cache. UsageError for an address that is not taken."""
    known = _noted(address)
    return known is not None and known.path.exists()


def open_address(address: str) -> Backbone:
    """The proven backbone behind an address, fetched if need be; its manifest has the address and the hash.

    UsageError says in one line what the server or the network refused, CheckpointError what the file is not.
    """
    known = _noted(address)
    if known is None or not known.path.exists():
        known = _fetched(address)
    elif file_sha256(known.path) != known.sha256:
        raise UsageError(
            f"--init {address}: {known.path} is damaged (its SHA-256 is not {known.sha256[:16]}...); "
            "remove it, and the next call gets it again"
        )
    try:
        backbone = open_checkpoint(known.path)
    except CheckpointError as error:
        raise CheckpointError(f"--init {address}: {error}") from None
    return replace(backbone, manifest=backbone.manifest | {"address": _told(address)})


def _check(address: str) -> None:
    """Refuses what cannot be fetched safely, or has no file."""
    try:
        parts = urlsplit(address)
        host, user = parts.hostname or "", parts.username
    except ValueError as error:
        raise UsageError(f"--init {address}: no address ({error}); expected {FORM}") from None
    file = file_of(address)
    if not host or not file or file.startswith(".") or not re.fullmatch(r"[!-~]+", address):
        raise UsageError(
            f"--init {address:.200}: expected the address of a file, as https://HOST/PATH/net.pth"
        )
    if user is not None:
        raise UsageError(f"--init: the address at {host} holds a password; download it, and give the file")
    if parts.scheme.lower() == "http" and host not in HERE:
        raise UsageError(
            f"--init {address}: over plain http anybody on the way can change the file, so it is taken from "
            f"{HERE[0]} alone; give its https:// address, or download it and give the file"
        )


def _fetched(address: str) -> Known:
    """Fetches the file, proves it by its content, and notes which one it was."""
    length, version = _asked(address)
    about = hashlib.sha256(f"{address} {length} {version}".encode()).hexdigest()[:16]
    # A file that changed on the server has another folder, so no part is joined with another file's.
    remote, folder = Remote(file_of(address), (address,), "", size=length), cache_folder() / "parts" / about
    try:
        path = fetch(remote, folder)
    except TransferError as error:
        raise UsageError(f"--init {address}: {error}") from None
    try:
        open_checkpoint(path)
    except CheckpointError as error:
        path.unlink()
        told = str(error).replace(str(path), "what came")
        raise CheckpointError(f"--init {address}: {told}") from None
    known = Known(_told(address), path.name, file_sha256(path))
    known.path.parent.mkdir(parents=True, exist_ok=True)
    path.replace(known.path)
    folder.rmdir()
    note = _note(address)
    note.parent.mkdir(parents=True, exist_ok=True)
    with atomic_save(str(note), text_mode=True, overwrite_part=True) as text:
        text.write(json.dumps(asdict(known), indent=1) + "\n")
    return known


def _asked(address: str) -> tuple[int, str]:
    """Bytes of the file, and what the server calls this version; UsageError for one that is not taken."""
    by_hand = "download it where there is a connection, and give the file"
    try:
        with web.ask(address) as answer:
            length = int(answer.headers.get("Content-Length") or 0)
            version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    except web.FAILURES as error:
        code = f"{error.code} " if isinstance(error, HTTPError) else ""
        raise UsageError(f"--init {address}: was not fetched ({code}{web.why(error)}); {by_hand}") from None
    if length <= 0:
        raise UsageError(
            f"--init {address}: the server does not say how large the file is, so a part of it could pass "
            f"for the whole; {by_hand}"
        )
    if length > LARGEST:
        most = f"{LARGEST / 2**30:.0f} GiB at most are fetched"
        raise UsageError(f"--init {address}: the file has {length / 2**30:.1f} GiB, and {most}; {by_hand}")
    return length, str(version)


def _told(address: str) -> str:
    """The address as records have it: what follows the path may be a key that is nobody's business."""
    return urlunsplit(urlsplit(address)._replace(query="", fragment=""))


def _note(address: str) -> Path:
    return cache_folder() / "addresses" / f"{hashlib.sha256(address.encode()).hexdigest()}.json"


def _noted(address: str) -> Known | None:
    """The cache's note of what an address gave; None where there is none that can be read."""
    _check(address)
    try:
        return Known(**json.loads(_note(address).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
