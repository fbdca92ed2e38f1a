"""Counts right predictions: over images, and as the mean over classes."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from transfer.probes.checks import require_every_class

Metric = Literal["top1", "mean_per_class"]


def accuracy(predicted: Tensor, labels: Tensor, classes: int, metric: Metric = "top1") -> Tensor:
    """Gives the share of right predictions in percent, (..., N) and (N,) -> (...).

    `mean_per_class` counts every class alike, as Aircraft, Pets, Caltech101 and Flowers are reported; a class
    without images in `labels` is refused, since its share is undefined.
    """
    right = (predicted == labels).double()
    if metric == "top1":
        return 100 * right.mean(-1)
    require_every_class(labels, classes, "labels that are scored")
    counts = labels.bincount(minlength=classes)
    by_class = right.new_zeros(*right.shape[:-1], classes).index_add_(-1, labels, right)
    return 100 * (by_class / counts).mean(-1)
