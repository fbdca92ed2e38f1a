"""Takes weights of an address, `https://...`, from the cache, or fetches them into it once, proven.

A file lies in the cache under its SHA-256, and a note says which one an address gave. What an address once
meant it goes on meaning, so a grid goes on with the weights that it began with, offline too. Reading what
came runs none of its code.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit

from boltons.fileutils import atomic_save

from benchmarks.errors import UsageError
from benchmarks.planning.download import LARGEST, file_sha256
from converters.errors import CheckpointError
from transfer.datasets.image_list.public.row import Remote
from transfer.datasets.prepare.fetch import fetch
from transfer.errors import TransferError
from transfer.process import web
from transfer.process.alone import alone
from transfer.process.cache import cache_folder

if TYPE_CHECKING:
    from converters.backbone import Backbone

FORM = "https://ADDRESS"
BY_HAND = "download it where there is a connection, and give the file"


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
    One process at a time fetches it; others wait, and find it.
    """
    from converters.convert import open_checkpoint  # which lists and plans do without

    shown = web.told(address)
    known = _noted(address)
    if known is None or not known.path.exists():
        try:
            with alone(_note(address).with_suffix(".lock"), f"--init {shown}"):
                known = _noted(address)
                if known is None or not known.path.exists():
                    known = _fetched(address)
        except TransferError as error:
            raise UsageError(f"--init {shown}: {error}") from None
    elif file_sha256(known.path) != known.sha256:
        raise UsageError(
            f"--init {shown}: {known.path} is damaged (its SHA-256 is not {known.sha256[:16]}...); "
            "remove it, and the next call gets it again"
        )
    try:
        backbone = open_checkpoint(known.path)
    except CheckpointError as error:
        raise CheckpointError(f"--init {shown}: {error}") from None
    return replace(backbone, manifest=backbone.manifest | {"address": shown})


def _check(address: str) -> None:
    """Refuses what cannot be fetched safely, or has no file."""
    shown = web.told(address)
    try:
        parts = urlsplit(address)
        host, user = parts.hostname or "", parts.username
    except ValueError as error:
        raise UsageError(f"--init {shown:.200}: no address ({error}); expected {FORM}") from None
    file = file_of(address)
    named = file.isprintable() and not file.startswith(".")  # it is so here, and not in the address: %00
    if not host or not file or not named or not re.fullmatch(r"[!-~]+", address):
        raise UsageError(f"--init {shown:.200}: expected the address of a file, as https://HOST/PATH/net.pth")
    if user is not None:
        raise UsageError(f"--init: the address at {host} holds a password; download it, and give the file")
    if parts.scheme.lower() == "http" and host not in web.HERE:
        raise UsageError(
            f"--init {shown}: over plain http anybody on the way can change the file, so it is taken from "
            f"{web.HERE[0]} alone; give its https:// address, or download it and give the file"
        )


def _fetched(address: str) -> Known:
    """Fetches the file, proves it by its content, and notes which one it was. TransferError for none."""
    from converters.convert import open_checkpoint

    length, version = _asked(address)
    about = hashlib.sha256(f"{address} {length} {version}".encode()).hexdigest()[:16]
    # A file that changed on the server has another folder, so no part is joined with another file's.
    remote, folder = Remote(file_of(address), (address,), "", size=length), cache_folder() / "parts" / about
    path = fetch(remote, folder, LARGEST, BY_HAND)
    try:
        open_checkpoint(path)
    except CheckpointError as error:
        path.unlink()
        told = str(error).replace(str(path), "what came")
        raise CheckpointError(f"--init {web.told(address)}: {told}") from None
    known = Known(web.told(address), path.name, file_sha256(path))
    known.path.parent.mkdir(parents=True, exist_ok=True)
    path.replace(known.path)
    with suppress(OSError):  # something of another's is in it
        folder.rmdir()
    note = _note(address)
    note.parent.mkdir(parents=True, exist_ok=True)
    with atomic_save(str(note), text_mode=True, overwrite_part=True) as text:
        text.write(json.dumps(asdict(known), indent=1) + "\n")
    return known


def _asked(address: str) -> tuple[int, str]:
    """Bytes of the file, and what the server calls this version; UsageError for one that is not taken."""
    shown = web.told(address)
    try:
        with web.ask(address) as answer:
            length = int(answer.headers.get("Content-Length") or 0)
            version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    except web.FAILURES as error:
        code = f"{error.code} " if isinstance(error, HTTPError) else ""
        raise UsageError(f"--init {shown}: was not fetched ({code}{web.why(error)}); {BY_HAND}") from None
    if length <= 0:
        raise UsageError(
            f"--init {shown}: the server does not say how large the file is, so a part of it could pass "
            f"for the whole; {BY_HAND}"
        )
    if length > LARGEST:
        most = f"{LARGEST / 2**30:.0f} GiB at most are fetched"
        raise UsageError(f"--init {shown}: the file has {length / 2**30:.1f} GiB, and {most}; {BY_HAND}")
    return length, str(version)


def _note(address: str) -> Path:
    return cache_folder() / "addresses" / f"{hashlib.sha256(address.encode()).hexdigest()}.json"


def _noted(address: str) -> Known | None:
    """The cache's note of what an address gave; None where there is none that can be read."""
    _check(address)
    try:
        return Known(**json.loads(_note(address).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
