"""Takes weights known by name from the cache, or fetches them into it once, proven first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import UsageError
from benchmarks.planning.download import fetch, file_sha256, noted, proof
from transfer.errors import DiskError
from transfer.process.cache import cache_folder
from transfer.process.web import FAILURES, why


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
    expected = known.sha256 or noted(path)
    if expected and not file_sha256(path).startswith(expected):
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

    try:
        fetch(address, path, proof(known.sha256))
    except DiskError as error:  # which says itself what to do
        raise UsageError(f"--init {name}: {error}") from None
    except FAILURES as error:
        raise UsageError(
            f"--init {name}: {path} is not there and was not fetched ({why(error)}); {by_hand}"
        ) from None
