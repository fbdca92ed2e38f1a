"""Retrieval equals loops over the ranking, and the revisited protocol its official code."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.transfer.probes.dial import dial
from transfer.probes import retrieval


def slow(x: np.ndarray, labels: list[int], cuts: tuple[int, ...]) -> tuple[list[float], list[list[float]]]:
    """AP and Recall@k of each query by its definition."""
    x = x / np.linalg.norm(x, axis=1)[:, None]
    aps, recalls = [], []
    for q in range(len(x)):
        order = sorted((j for j in range(len(x)) if j != q), key=lambda j: (-float(x[q] @ x[j]), j))
        hits, precisions = 0, []
        for rank, j in enumerate(order, 1):
            if labels[j] == labels[q]:
                hits += 1
                precisions.append(hits / rank)
        aps.append(100 * sum(precisions) / hits if hits else math.nan)
        recalls.append(
            [100.0 * any(labels[j] == labels[q] for j in order[:k]) if hits else math.nan for k in cuts]
        )
    return aps, recalls


def test_images_of_the_same_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """One image has a class of its own: it has nothing to find, and does not count."""
    data = dial(0.6, classes=4, width=6, each=8)
    labels = data.labels.clone()
    labels[3] = 4
    aps, recalls = slow(data.train.numpy(), labels.tolist(), (1, 5))
    for block in (256, 7):
        monkeypatch.setattr(retrieval, "QUERIES", block)
        found = retrieval.same_class(data.train, labels, (1, 5))
        np.testing.assert_allclose(found.average_precision, aps)
        np.testing.assert_allclose(np.stack([found.at[1], found.at[5]], 1), recalls)
    assert math.isnan(aps[3])
    assert found.mean == pytest.approx(np.nanmean(aps))
    assert found.mean_at(5) == pytest.approx(np.nanmean([r[1] for r in recalls]))


def official(ranks: list[int], wanted: list[int], ignored: list[int]) -> tuple[float, list[int]]:
    """AP by trapezoids over the ranking without what is ignored, and the ranks of what is wanted, from 1."""
    left = [row for row in ranks if row not in ignored]
    places = [place for place, row in enumerate(left) if row in wanted]
    ap = 0.0
    for j, place in enumerate(places):
        before = 1.0 if place == 0 else j / place
        ap += (before + (j + 1) / (place + 1)) / (2 * len(wanted))
    return 100 * ap, [place + 1 for place in places]


def test_the_revisited_protocol() -> None:
    random = np.random.default_rng(0)
    ranks = np.stack([random.permutation(60) for _ in range(9)])
    parts = [np.split(random.permutation(60), [5, 9, 16])[:3] for _ in range(9)]
    easy, hard, junk = ([part[i].tolist() for part in parts] for i in range(3))
    easy[2], hard[4] = [], []
    found = retrieval.revisited(ranks, easy, hard, junk)
    for q in range(9):
        kinds = {
            "easy": (easy[q], hard[q] + junk[q]),
            "medium": (easy[q] + hard[q], junk[q]),
            "hard": (hard[q], easy[q] + junk[q]),
        }
        for kind, (wanted, ignored) in kinds.items():
            result = found[kind]
            if not wanted:
                assert math.isnan(result.average_precision[q])
                assert math.isnan(result.at[5][q])
                continue
            ap, places = official(ranks[q].tolist(), wanted, ignored)
            assert result.average_precision[q] == pytest.approx(ap)
            for k in (1, 5, 10):
                end = min(max(places), k)
                assert result.at[k][q] == pytest.approx(100 * sum(place <= end for place in places) / end)
    assert len({round(result.mean, 6) for result in found.values()}) == 3
    assert found["easy"].mean == pytest.approx(np.nanmean(found["easy"].average_precision))


def test_a_case_by_hand() -> None:
    """Rows 4 3 2 1 0; 2 and 0 are easy, 4 is junk: they are left at ranks 2 and 4 of 3 2 1 0."""
    found = retrieval.revisited(np.array([[4, 3, 2, 1, 0]]), [[2, 0]], [[]], [[4]], (1, 5))
    expected = ((0 / 1 + 1 / 2) / 2 + (1 / 3 + 2 / 4) / 2) / 2
    assert found["easy"].mean == pytest.approx(100 * expected)
    assert found["medium"].mean == pytest.approx(100 * expected)
    assert found["easy"].mean_at(1) == 0
    assert found["easy"].mean_at(5) == 50  # two of the four up to the last positive


def test_ranking_by_cosine() -> None:
    """Lengths do not matter, and of equals the first comes first."""
    database = torch.tensor([[0.0, 2.0], [1.0, 1.0], [5.0, 0.0], [1.0, 0.0]])
    assert retrieval.ranking([[3.0, 0.1]], database).tolist() == [[2, 3, 1, 0]]
