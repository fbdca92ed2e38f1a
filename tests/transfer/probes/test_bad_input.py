"""Features and labels that do not allow what was asked are refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from transfer.errors import TransferError
from transfer.probes import (
    calibration,
    discovery,
    episodes,
    knn,
    logistic,
    retrieval,
    ridge,
    robustness,
    spread,
    svm,
)

X = np.random.default_rng(0).standard_normal((12, 3))
Y = np.arange(12) % 3
NAN = np.where(np.arange(36).reshape(12, 3) == 7, np.nan, X)
TARGETS = np.eye(3, dtype=int)[Y]
FULL = dict.fromkeys(robustness.ALEXNET, (50.0,) * 5)

CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "nan": (
        lambda: logistic.fit(NAN, Y),
        "features: 1 of 12 rows are not finite, the first is row 2; look at",
    ),
    "infinite": (lambda: knn.classify(X, Y, X + np.inf, (1,)), "test features: 12 of 12 rows are not finite"),
    "no images": (
        lambda: spread.rank_me(X[:0]),
        r"features: shape (0, 3), expected (images, width), both above 0",
    ),
    "widths": (
        lambda: knn.classify(X, Y, X[:, :2], (1,)),
        "test features: width 2, expected 3; take both from",
    ),
    "labels": (
        lambda: knn.classify(X, Y[:5], X, (1,)),
        "train labels: shape (5,), expected (12,), one a row",
    ),
    "no numbers": (lambda: logistic.fit(X, Y / 2), "labels: type torch.float64, expected whole numbers"),
    "negative": (lambda: logistic.fit(X, Y - 1), "labels: -1, expected 0 to 1; number from 0"),
    "too great": (lambda: knn.classify(X, Y, X, (1,), classes=2), "train labels: 2, expected 0 to 1"),
    "one class": (lambda: logistic.fit(X, 0 * Y), "labels: one class alone, expected two or more"),
    "class missing": (
        lambda: logistic.choose(X, Y, range(0, 12, 3), range(1, 12, 3)),
        "labels that are fitted: class 1 has 0 of 4 images, expected at least 1; choose another split",
    ),
    "class not scored": (
        lambda: logistic.choose(X, Y, range(9), (9, 10), metric="mean_per_class"),
        "labels that are scored: class 2 has 0 of 2 images, expected at least 1",
    ),
    "nothing held out": (
        lambda: logistic.choose(X, Y, range(12), ()),
        "held-out images: no images, expected 1",
    ),
    "grid": (
        lambda: logistic.fit(X, Y, (1.0, 0.1)),
        "grid of C: (1.0, 0.1); expected rising numbers above 0",
    ),
    "left out": (
        lambda: ridge.choose(X[:4], Y[:4], (1.0,)),
        "class 1 has 1 of 4 images, expected at least 2",
    ),
    "targets": (
        lambda: ridge.Solved(X, X[:4]),
        "12 images, 4 targets: expected equal numbers, 2 or more",
    ),
    "neighbours": (
        lambda: knn.classify(X, Y, X, (0,)),
        "neighbours: [0], expected numbers above 0, at most 12",
    ),
    "temperature": (
        lambda: knn.classify(X, Y, X, (1,), 0.001),
        "temperature: 0.001, expected 0.0125 or more",
    ),
    "shots": (
        lambda: episodes.few_shot(X, Y, 3, 0, ways=3, queries=2),
        "class 0: 4 images, expected 5 for 3 shots and 2 queries; ask for fewer shots",
    ),
    "ways": (
        lambda: episodes.few_shot(X, Y, 1, 0, ways=4, queries=1),
        "4 ways: there are 3 classes; ask for",
    ),
    "low shots": (lambda: svm.few(TARGETS, 5, 0), "class 0: 4 positive images, 5 shots need 5"),
    "low shots' others": (lambda: svm.few(TARGETS[:7], 3, 0), "class 0: 4 absent images, 3 shots need 6"),
    "folds": (lambda: svm.choose(X[:7], TARGETS[:7]), "class 1: 2 positive images, expected 3 for 3 folds"),
    "no positive": (
        lambda: svm.fit(X, -torch.ones(12, 1), (1.0,)),
        "class 0: expected positive and negative",
    ),
    "VOC targets": (
        lambda: svm.choose(X, TARGETS + 1),
        "targets: shape (12, 3), expected (12, classes) of 1, 0",
    ),
    "nothing to find": (lambda: retrieval.same_class(X[:3], Y[:3], (1,)), "no class has two images"),
    "cuts": (lambda: retrieval.same_class(X, Y, (12,)), "cuts: [12], expected 1 to 11, the number of images"),
    "lists": (lambda: retrieval.revisited(Y[None], [], [[]], [[]]), "easy: lists for 0 queries, expected 1"),
    "outside": (
        lambda: retrieval.revisited(Y[None], [[12]], [[]], [[]]),
        "easy: a row is outside the database",
    ),
    "corruption missing": (
        lambda: robustness.mean_corruption_error({k: v for k, v in FULL.items() if k != "fog"}),
        "errors without fog: expected exactly the 15 corruptions of the reference",
    ),
    "an extra corruption": (
        lambda: robustness.mean_corruption_error({**FULL, "spatter": (1.0,) * 5}),
        "errors with spatter: expected exactly the 15",
    ),
    "severity missing": (
        lambda: robustness.mean_corruption_error({**FULL, "fog": (1.0,) * 4}),
        "fog: (1.0, 1.0, 1.0, 1.0), expected 5 errors in percent, by severity",
    ),
    "outside the subset": (
        lambda: robustness.top1(X, Y, (0, 1)),
        "labels: 4 of 12 are outside the subset of 2",
    ),
    "subset": (
        lambda: robustness.top1(X, Y, (0, 3)),
        "classes of the subset: expected two or more different ones",
    ),
    "cold": (lambda: calibration.calibration(X, Y, 0.0), "temperature: 0, expected above 0"),
    "few for RankMe": (lambda: spread.rank_me(X[:2]), "RankMe: 2 images of width 3, expected more images"),
    "zeros": (lambda: spread.rank_me(0 * X), "RankMe: all features are 0; look at the backbone's output"),
    "patches": (lambda: discovery.object_box(X, (3, 3), (9, 9)), "patches: 12, expected 3 x 3"),
    "zero patches": (lambda: discovery.object_box(0 * X, (3, 4), (9, 9)), "patches: the seed is all 0"),
    "no boxes": (
        lambda: discovery.localised([(0, 0, 1, 1)], [[]]),
        "CorLoc: no image has a true box",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_in_one_line(case: str) -> None:
    ask, said = CASES[case]
    with pytest.raises(TransferError) as caught:
        ask()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
