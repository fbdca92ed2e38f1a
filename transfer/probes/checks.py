"""Checks features and labels before a probe uses them; every fault is one line."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from transfer.errors import TransferError

Advance = Callable[[str], None]  # told of every value of a grid when it is fitted, for a line of progress


def unseen(note: str) -> None:
    """The Advance that shows nothing."""


class ProbeError(TransferError):
    """Features or labels do not allow what was asked."""


def checked_features(values: Any, name: str = "features", width: int | None = None) -> Tensor:
    """Gives (N, D) finite numbers with N and D above 0; D is `width` where that is given."""
    features = torch.as_tensor(values)
    shape = tuple(features.shape)
    if features.ndim != 2 or not features.numel():
        raise ProbeError(f"{name}: shape {shape}, expected (images, width), both above 0; extract them again")
    if width is not None and shape[1] != width:
        raise ProbeError(f"{name}: width {shape[1]}, expected {width}; take both from the same backbone")
    if not features.is_floating_point():
        features = features.double()
    low, high = features.aminmax(dim=1)  # both are NaN where one number of the row is
    bad = ~(low.isfinite() & high.isfinite())
    if bad.any():
        raise ProbeError(
            f"{name}: {int(bad.sum())} of {shape[0]} rows are not finite, the first is row "
            f"{int(bad.nonzero()[0])}; look at the backbone's output of that image"
        )
    return features


def checked_labels(
    values: Any, count: int, classes: int | None = None, name: str = "labels"
) -> tuple[Tensor, int]:
    """Gives class numbers (N,) and how many classes there are: `classes`, or the greatest number + 1."""
    labels = torch.as_tensor(values)
    if labels.shape != (count,):
        raise ProbeError(f"{name}: shape {tuple(labels.shape)}, expected ({count},), one a row of features")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ProbeError(f"{name}: type {labels.dtype}, expected whole numbers; number the classes from 0")
    labels = labels.long()
    low, high = (int(value) for value in labels.aminmax())
    found = high + 1 if classes is None else classes
    if low < 0 or high >= found:
        raise ProbeError(f"{name}: {low if low < 0 else high}, expected 0 to {found - 1}; number from 0")
    if found < 2:
        raise ProbeError(f"{name}: one class alone, expected two or more; there is nothing to tell apart")
    return labels, found


def require_every_class(labels: Tensor, classes: int, name: str, least: int = 1) -> None:
    """Refuses labels (N,) of which a class has fewer than `least` rows."""
    counts = labels.bincount(minlength=classes)
    short = int(counts.argmin())
    if counts[short] < least:
        raise ProbeError(
            f"{name}: class {short} has {int(counts[short])} of {len(labels)} images, "
            f"expected at least {least}; choose another split, or leave the class out"
        )


def checked_split(parts: Sequence[Any], count: int, names: Sequence[str]) -> list[Tensor]:
    """Gives row numbers below `count` for each part; a row is in one part at most, and no part is empty."""
    rows = [torch.as_tensor(part).long().flatten() for part in parts]
    for part, name in zip(rows, names, strict=True):
        if not len(part):
            raise ProbeError(f"{name}: no images, expected 1 or more; choose another split")
        if part.min() < 0 or part.max() >= count:
            raise ProbeError(f"{name}: a row number is outside 0 to {count - 1}; make the split of this set")
    every = torch.cat(rows)
    if len(every.unique()) != len(every):
        raise ProbeError(f"{' and '.join(names)}: an image is in them twice; expected disjoint parts")
    return rows


def checked_grid(values: Sequence[float], name: str) -> tuple[float, ...]:
    """Gives the values, which are above 0, finite and rising."""
    grid = tuple(float(value) for value in values)
    if not grid or not all(0 < value < math.inf for value in grid) or list(grid) != sorted(set(grid)):
        raise ProbeError(f"{name}: {grid or 'nothing'}; expected rising numbers above 0")
    return grid
