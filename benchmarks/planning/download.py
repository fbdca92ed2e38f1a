"""Downloads a file whole or not at all: proven before it has its name, its SHA-256 noted beside it."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from boltons.fileutils import atomic_save

from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from transfer.process import web
from transfer.process.web import TIMEOUT_S

_CHUNK = 1 << 20


def ask(address: str, token: str = "") -> Any:
    """Opens an address, its redirects followed; the token is shown to no other server. FAILURES pass."""
    return web.ask(address, token, TIMEOUT_S)


def fetch(address: str, path: Path, prove: Callable[[Path, str], None], token: str = "") -> str:
    """Fetches an address into `path`; its SHA-256, which is noted beside it too.

    `prove` gets the file as it came and its hash, and raises ValueError for what is not to be kept. One of
    FAILURES says why nothing was; then nothing is left behind.
    """
    print(f"fetching {address}", file=sys.stderr)
    part = path.with_name(f".{path.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with atomic_save(str(path), part_file=part.name) as file:
            found = _copy(address, file, token)
            file.flush()
            prove(part, found)
    finally:
        part.unlink(missing_ok=True)  # it is there no more, or was left where the disk is full
    with atomic_save(str(_note(path)), text_mode=True, overwrite_part=True) as file:
        file.write(found + "\n")
    print(f"fetched {path}, SHA-256 {found}", file=sys.stderr)
    return found


def proof(expected: str) -> Callable[[Path, str], None]:
    """Proves by the published hash, or its beginning; where none is published, by the content."""
    return lambda part, found: prove_by_hash(expected, found) if expected else prove_by_content(part)


def prove_by_hash(expected: str, found: str) -> None:
    """Raises ValueError for a hash that does not begin as expected."""
    if not found.startswith(expected):
        raise ValueError(f"its SHA-256 is {found[:16]}..., expected {expected[:16]}...")


def prove_by_content(part: Path) -> None:
    """Raises ValueError for what is no complete backbone: without a published hash it proves itself."""
    try:
        open_checkpoint(part)
    except CheckpointError as error:
        raise ValueError(str(error).replace(str(part), "what came")) from None


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file of any size."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def noted(path: Path) -> str:
    """The hash that was found when the file was fetched; empty if it was put there by hand."""
    try:
        return _note(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _copy(address: str, file: IO[bytes], token: str) -> str:
    """Copies it into `file`; its SHA-256. ValueError if less came than was promised."""
    from transfer.process.progress import progress

    digest = hashlib.sha256()
    with ask(address, token) as answer:
        size = int(answer.headers.get("Content-Length") or 0)
        received = 0
        with progress("fetch (MB)", max(1, -(-size // _CHUNK))) as advance:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                advance("")
    if size and received != size:
        raise ValueError(f"{received} of {size} bytes came")
    return digest.hexdigest()


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
