"""Makes the features of a list of images, or takes them from the cache, in one process or several."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from transfer.datasets.image_list.batches import batches
from transfer.datasets.image_list.images import Images
from transfer.errors import TransferError
from transfer.frozen.cache import PART, Entry
from transfer.frozen.view import Seen
from transfer.process.distributed import World
from transfer.process.gather import share
from transfer.process.memory import memory_advice
from transfer.process.progress import progress


@dataclass(frozen=True)
class How:
    """Says how features are computed; only the precision moves them, and all else no more than rounding does.

    precision: fp32, or bf16 by autocast.
    """

    batch_size: int = 64
    workers: int = 2
    precision: str = "fp32"


def list_sha256(images: Images, digests: Sequence[str]) -> str:
    """Hashes a list by what its images are, in its order; `digests` are the SHA-256 of each."""
    lines = (f"{i}\0{digest}\n" for i, digest in zip(images.ids, digests, strict=True))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def features_of(
    net: nn.Module,
    images: Images,
    view: Seen,
    entry: Entry,
    world: World,
    group: Any,
    how: How,
) -> np.ndarray | None:
    """(N, D) float32 features of the images in their order, mapped into memory; None but in the main process.

    They are made where the cache has them not: each process makes parts of them, and what is there already
    is not made again. The main process alone reads and hashes them. net: (N, S, S, 3) uint8 -> (N, D).
    group: see `cpu_group`.

    DataError names an image that cannot be read. TransferError says that the cache is damaged, or that
    features are not finite.
    """
    with entry.alone() if world.main else nullcontext():
        found = entry.load() if world.main else None
        if not share(found is not None, world, group):
            # One process lists what is lacking, for the others' parts come and go while they look.
            todo = share([first for first in entry.parts if not entry.has(first)], world, group)
            _make(net, images, view, entry, world, how, todo[world.rank :: world.size])
            if world.size > 1:
                dist.barrier(group)
            if world.main:
                entry.finish()
    if not world.main:
        return None
    found = entry.load() if found is None else found
    if found is None:
        raise TransferError(f"features in {entry.folder} are gone again; the same command makes them anew")
    return found


def _make(
    net: nn.Module, images: Images, view: Seen, entry: Entry, world: World, how: How, mine: Sequence[int]
) -> None:
    """Makes this process's parts."""
    device = next(net.parameters()).device
    total = sum(min(PART, entry.count - first) for first in mine)
    with progress(f"features of {images.name}", total, quiet=not world.main) as advance:
        for first in mine:
            rows = range(first, min(first + PART, entry.count))
            made = []
            for pixels, _ in batches(images.take(rows, images.name), view.seen, how.batch_size, how.workers):
                made.append(computed(net, np.stack(pixels), device, how.precision))
                for _ in pixels:
                    advance("")
            features = np.concatenate(made)
            _check(features, images.ids[first : first + PART])
            entry.keep(first, features)


def computed(net: nn.Module, pixels: np.ndarray, device: torch.device, precision: str) -> np.ndarray:
    """(N, D) float32 features of pixels (N, H, W, 3) uint8; TransferError where a GPU has no room."""
    bf16 = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
    whole = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)  # fp32 is no TF32
    with torch.inference_mode(), bf16, whole, memory_advice("features", "FEATURES.CROP"):
        found: np.ndarray = net(torch.from_numpy(pixels).to(device)).float().cpu().numpy()
    return found


def _check(features: np.ndarray, ids: Sequence[str]) -> None:
    bad = np.flatnonzero(~np.isfinite(features).all(1))
    if len(bad):
        raise TransferError(
            f"features: {len(bad)} of {len(ids)} images have no finite feature, the first is {ids[bad[0]]}; "
            "the weights or their pixel statistics are wrong: see `python -m converters certify`"
        )
