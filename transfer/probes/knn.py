"""Classifies by weighted nearest neighbours (Wu et al. 2018, InstDisc), in blocks of bounded memory.

A neighbour votes with exp(cosine similarity / T), as DINO's eval_knn.py has it. Of equally similar rows the
first is the nearer one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from transfer.probes.checks import ProbeError, checked_features, checked_labels
from transfer.probes.protocols import KNN_TEMPERATURE

QUERIES, ROWS = 512, 65536  # of a block: at most 134 MB of similarities


def classify(
    train: Any,
    labels: Any,
    test: Any,
    counts: Sequence[int],
    temperature: float = KNN_TEMPERATURE,
    classes: int | None = None,
) -> Tensor:
    """Gives the classes (counts, M) of test features (M, D) by train features (N, D) with labels (N,).

    `counts` are the numbers of neighbours that vote; where there are fewer rows, all do. Of equal votes the
    smallest class wins.
    """
    votes = (part.argmax(2) for part in _votes(train, labels, test, counts, temperature, classes))
    return torch.cat(list(votes), dim=1)


def nearest(train: Tensor, test: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Gives similarities and numbers (M, count) of the nearest rows of `train` (N, D), the nearest first.

    Test rows (M, D) are of length 1; those of `train` are brought to it block by block, each block once, so
    that they may be mapped from a file.
    """
    queries = test.split(QUERIES)
    none = torch.empty(0, dtype=torch.long, device=test.device)
    found = [(one.new_empty(len(one), 0), none.new_empty(len(one), 0)) for one in queries]
    for begin in range(0, len(train), ROWS):
        block = F.normalize(train[begin : begin + ROWS], dim=1)
        for number, (one, (best, index)) in enumerate(zip(queries, found, strict=True)):
            values, places = _greatest(one @ block.T, count)
            best, index = torch.cat([best, values], 1), torch.cat([index, places + begin], 1)
            order = best.argsort(dim=1, descending=True, stable=True)[:, :count]
            found[number] = best.gather(1, order), index.gather(1, order)
    return torch.cat([best for best, _ in found]), torch.cat([index for _, index in found])


def _greatest(similarity: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The greatest values of each row (M, N), by falling value and rising column."""
    count = min(count, similarity.shape[1])
    values, places = similarity.topk(count, dim=1)
    open_ = (similarity >= values[:, -1:]).sum(1) > count  # topk took any of those that equal the last
    if open_.any():
        rest = similarity[open_]
        places[open_] = rest.argsort(dim=1, descending=True, stable=True)[:, :count]
        values[open_] = rest.gather(1, places[open_])
    places = places.sort(1).values
    values = similarity.gather(1, places)
    order = values.argsort(dim=1, descending=True, stable=True)
    return values.gather(1, order), places.gather(1, order)


def _votes(
    train: Any, labels: Any, test: Any, counts: Sequence[int], temperature: float, classes: int | None
) -> Iterator[Tensor]:
    """Yields the votes (counts, m, classes) of each block of test features."""
    train = checked_features(train, "train features")
    labels, classes = checked_labels(labels, len(train), classes, "train labels")
    labels = labels.to(train.device)
    if not counts or min(counts) < 1:
        raise ProbeError(f"neighbours: {list(counts)}, expected numbers above 0, at most {len(train)}")
    if not temperature >= 0.0125:  # below, exp(1 / T) leaves the range of float32
        raise ProbeError(f"temperature: {temperature:g}, expected 0.0125 or more; 0.07 is published")
    queries = F.normalize(checked_features(test, "test features", train.shape[1]).to(train), dim=1)
    near = nearest(train, queries, min(max(counts), len(train)))
    for similarity, index in zip(*(part.split(QUERIES) for part in near), strict=True):
        weight, voted = (similarity / temperature).exp(), labels[index]
        votes = weight.new_zeros(len(counts), len(weight), classes)
        for number, count in enumerate(counts):
            votes[number].scatter_add_(1, voted[:, :count], weight[:, :count])
        yield votes
