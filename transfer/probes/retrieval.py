"""Measures retrieval by cosine similarity: of images of the same class, and by the revisited Oxford protocol.

Rankings go by falling similarity; of equal ones the row that comes first is ranked first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.nn import functional as F

from transfer.probes.checks import ProbeError, checked_features, checked_labels

QUERIES = 256  # of a block
CUTS = (1, 5, 10)


@dataclass(frozen=True)
class Retrieval:
    """Results by query, NaN where the query has nothing to find."""

    average_precision: np.ndarray  # (Q,) in percent
    at: dict[int, np.ndarray]  # k -> (Q,) in percent, the figure that the function names

    @property
    def mean(self) -> float:
        """Mean average precision over the queries that have something to find."""
        return float(np.nanmean(self.average_precision))

    def mean_at(self, k: int) -> float:
        return float(np.nanmean(self.at[k]))


def same_class(features: Any, labels: Any, cuts: Sequence[int] = CUTS) -> Retrieval:
    """Lets each image (N, D) find the others of its class (N,) among all others.

    AP is the mean precision at each hit; `at[k]` is Recall@k: 100 if one of the first k is of the class.
    """
    rows = checked_features(features)
    labels, _ = checked_labels(labels, len(rows))
    _check_cuts(cuts, len(rows) - 1)
    whole, classes = F.normalize(rows, dim=1), labels.cpu().numpy()
    found = np.empty(len(rows))
    first = np.empty(len(rows))  # rank of the first hit, from 0
    for begin in range(0, len(rows), QUERIES):
        block = np.arange(begin, min(begin + QUERIES, len(rows)))
        similarity = (whole[begin : begin + QUERIES] @ whole.T).cpu().numpy()
        similarity[block - begin, block] = -np.inf  # the query itself is ranked last, and cut off
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :-1]
        hits = classes[order] == classes[block, None]
        precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
        total = hits.sum(1)
        with np.errstate(invalid="ignore"):
            found[block] = 100 * (precision * hits).sum(1) / total
        first[block] = np.where(total > 0, hits.argmax(1), np.nan)
    if np.isnan(found).all():
        raise ProbeError("labels: no class has two images, so there is nothing to find")
    recall = {k: np.where(np.isnan(first), np.nan, 100.0 * (first < k)) for k in cuts}
    return Retrieval(found, recall)


def ranking(queries: Any, database: Any) -> np.ndarray:
    """Ranks database features (N, D) for queries (Q, D): row numbers (Q, N), the most similar first."""
    index = checked_features(database, "database")
    asked = checked_features(queries, "queries", index.shape[1])
    similarity = F.normalize(asked.to(index), dim=1) @ F.normalize(index, dim=1).T
    return np.argsort(-similarity.cpu().numpy(), axis=1, kind="stable")


def revisited(
    ranks: np.ndarray,
    easy: Sequence[Sequence[int]],
    hard: Sequence[Sequence[int]],
    junk: Sequence[Sequence[int]],
    cuts: Sequence[int] = CUTS,
) -> dict[str, Retrieval]:
    """Scores rankings (Q, N) as ROxford5k and RParis6k are (Radenovic et al. 2018): easy, medium and hard.

    Each list has, for each query, row numbers of the database. Easy: easy images are to be found, hard and
    junk ones are taken out of the ranking. Medium: easy and hard ones, without junk. Hard: hard ones, without
    easy and junk. AP is the area under straight lines between the points of the curve; `at[k]` is precision
    at k, or at the last positive where that comes earlier.
    """
    groups = [[np.asarray(rows, dtype=int) for rows in group] for group in (easy, hard, junk)]
    for group, name in zip(groups, ("easy", "hard", "junk"), strict=True):
        if len(group) != len(ranks):
            raise ProbeError(f"{name}: lists for {len(group)} queries, expected {len(ranks)}")
        if any(len(rows) and not 0 <= rows.min() <= rows.max() < ranks.shape[1] for rows in group):
            raise ProbeError(f"{name}: a row is outside the database of {ranks.shape[1]} images")
    _check_cuts(cuts, ranks.shape[1])
    kinds = {"easy": ((0,), (1, 2)), "medium": ((0, 1), (2,)), "hard": ((1,), (0, 2))}
    results = {}
    for kind, (wanted, ignored) in kinds.items():
        lines = []
        for query, row in enumerate(ranks):
            right, out = (np.concatenate([groups[i][query] for i in which]) for which in (wanted, ignored))
            lines.append(_one(row, right, out, cuts))
        table = 100 * np.array(lines).reshape(len(ranks), -1)
        results[kind] = Retrieval(table[:, 0], {k: table[:, 1 + i] for i, k in enumerate(cuts)})
    return results


def _one(ranks: np.ndarray, wanted: np.ndarray, ignored: np.ndarray, cuts: Sequence[int]) -> list[float]:
    """AP and precisions of one query."""
    wanted = np.unique(wanted)
    if not len(wanted):
        return [np.nan] * (1 + len(cuts))
    left = ranks[~np.isin(ranks, np.setdiff1d(ignored, wanted))]
    place = np.flatnonzero(np.isin(left, wanted))  # from 0
    count = np.arange(len(place))
    before = np.where(place > 0, count / np.maximum(place, 1), 1.0)
    after = (count + 1) / (place + 1)
    ends = [min(int(place[-1]) + 1, k) for k in cuts]
    return [float(((before + after) / 2).sum() / len(wanted)), *((place < end).sum() / end for end in ends)]


def _check_cuts(cuts: Sequence[int], most: int) -> None:
    if not cuts or min(cuts) < 1 or max(cuts) > most:
        raise ProbeError(f"cuts: {list(cuts)}, expected 1 to {most}, the number of images that are ranked")
