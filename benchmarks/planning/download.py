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

from converters.errors import CheckpointError
from transfer.process import web
from transfer.process.disk import check_room
from transfer.process.web import CHUNK, TIMEOUT_S

LARGEST = 32 << 30  # bytes; the largest published vision transformers have 27 GB


def ask(address: str, token: str = "") -> Any:
    """Opens an address, its redirects followed; the token is shown to no other server. FAILURES pass."""
    return web.ask(address, token, TIMEOUT_S)


def fetch(
    address: str,
    path: Path,
    prove: Callable[[Path, str], None],
    token: str = "",
    size: int = 0,
    most: int = LARGEST,
) -> str:
    """Fetches an address into `path`; its SHA-256, which is noted beside it too.

    `prove` gets the file as it came and its hash, and raises ValueError for what is not to be kept. One of
    FAILURES says why nothing was, DiskError among them; then nothing is left behind.
    size: bytes that are published, 0 where none are; most: bytes that are taken.
    """
    _admit(path, size, most)
    part = path.with_name(f".{path.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with atomic_save(str(path), part_file=part.name) as file:
            found = _copy(address, path, file, token, size, most)
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
        from converters.convert import open_checkpoint  # which lists and plans do without

        open_checkpoint(part)
    except CheckpointError as error:
        raise ValueError(str(error).replace(str(part), "what came")) from None


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file of any size."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def noted(path: Path) -> str:
    """The hash that was found when the file was fetched; empty if it was put there by hand."""
    try:
        return _note(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _admit(path: Path, size: int, most: int) -> None:
    """Raises ValueError for a file of more than `most` bytes, DiskError where the disk has no room for it."""
    if size > most:
        raise ValueError(f"{path.name} has {_told(size)}, and {_told(most)} at most are fetched")
    check_room(path, size)


def _copy(address: str, path: Path, file: IO[bytes], token: str, size: int, most: int) -> str:
    """Copies it into `file`; its SHA-256. ValueError if more or less came than was promised."""
    from transfer.process.progress import progress

    digest, came = hashlib.sha256(), 0
    with ask(address, token) as answer:
        says = max(0, int(answer.headers.get("Content-Length") or 0))
        if size and says not in (0, size):
            raise ValueError(f"the server has {says} bytes, expected {size}")
        size = size or says
        _admit(path, size, most)
        print(f"fetching {address}{f' ({size / 1e6:.1f} MB)' if size else ''}", file=sys.stderr)
        with progress("fetch (MB)", max(1, -(-size // CHUNK))) as advance:
            for chunk in web.received(answer, size or most):
                file.write(chunk)
                digest.update(chunk)
                for _ in range((came + len(chunk)) // CHUNK - came // CHUNK):
                    advance("")
                came += len(chunk)
    if size and came != size:
        raise ValueError(f"{came} of {size} bytes came")
    return digest.hexdigest()


def _told(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size} bytes"


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
