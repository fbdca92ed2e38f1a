"""Takes weights known by name from the cache, or fetches them into it once, proven first."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO

from boltons.fileutils import atomic_save

from benchmarks.errors import UsageError
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from transfer.process.cache import cache_folder

TIMEOUT_S = 30
_CHUNK = 1 << 20


def _of_torchvision() -> str | None:
    from torchvision.models import ResNet50_Weights

    return str(ResNet50_Weights.IMAGENET1K_V1.url)


def _of_detectron2() -> str | None:
    from transfer.engines.detectron2.zoo import zoo_address

    # Detectron2's ModelCatalog knows a file of this name too: Detectron 1's, whose norms are fused
    return zoo_address("ImageNetPretrained/MSRA/R-50.pkl")


@dataclass(frozen=True)
class Known:
    """Weights known by name. `sha256` is the beginning of the published hash, or empty if there is none."""

    file: str
    sha256: str
    address: Callable[[], str | None]  # asks the library that knows it
    where: str  # for people


KNOWN = {
    "supervised": Known(
        "resnet50-0676ba61.pth",
        "0676ba61",
        _of_torchvision,
        "torchvision.models.ResNet50_Weights.IMAGENET1K_V1.url names its address",
    ),
    "msra": Known(
        "R-50.pkl",
        "",
        _of_detectron2,
        "Detectron2's model zoo lists it as detectron2://ImageNetPretrained/MSRA/R-50.pkl",
    ),
}


def at_hand(name: str) -> bool:
    """Whether these weights are in the cache, so that nothing need be fetched."""
    return (cache_folder() / KNOWN[name].file).exists()


def cached(name: str) -> Path:
    """The file of these weights, fetched if need be; UsageError says what to download and where to put it."""
    known = KNOWN[name]
    path = cache_folder() / known.file
    if not path.exists():
        _fetch(name, known, path)
        return path
    expected = known.sha256 or _noted(path)
    if expected and not _hash(path).startswith(expected):
        raise UsageError(
            f"--init {name}: {path} is damaged (its SHA-256 does not begin with {expected[:8]}); "
            "remove it, and the next call gets it again"
        )
    return path


def _fetch(name: str, known: Known, path: Path) -> None:
    by_hand = f"download {known.file} ({known.where}) and put it there"
    address = known.address()
    if address is None:
        raise UsageError(f"--init {name}: {path} is not there; {by_hand}")
    print(f"fetching {address}", file=sys.stderr)
    part = f".{known.file}.{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _gone_if_it_fails(path.with_name(part)), atomic_save(str(path), part_file=part) as file:
            found = _download(address, file)
            file.flush()
            _prove(known, path.with_name(part), found)
    except (OSError, HTTPException, ValueError) as error:
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise UsageError(
            f"--init {name}: {path} is not there and was not fetched ({why}); {by_hand}"
        ) from None
    if not known.sha256:
        with atomic_save(str(_note(path)), text_mode=True, overwrite_part=True) as file:
            file.write(found + "\n")
    print(f"fetched {path}, SHA-256 {found}", file=sys.stderr)


def _download(address: str, file: IO[bytes]) -> str:
    """Copies it into `file`; its SHA-256. ValueError if less came than was promised."""
    from transfer.process.progress import progress

    digest = hashlib.sha256()
    with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
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


def _prove(known: Known, part: Path, found: str) -> None:
    """Nothing is kept that is not what it should be."""
    if known.sha256 and not found.startswith(known.sha256):
        raise ValueError(f"its SHA-256 is {found[:16]}..., expected {known.sha256}...")
    if not known.sha256:  # no published hash: the content must prove itself
        try:
            open_checkpoint(part)
        except CheckpointError as error:
            raise ValueError(str(error).replace(str(part), "what came")) from None


@contextlib.contextmanager
def _gone_if_it_fails(part: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _noted(path: Path) -> str:
    """The hash that was found when the file was fetched; empty if it was put there by hand."""
    try:
        return _note(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
