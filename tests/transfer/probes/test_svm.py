"""VOC07's SVM reaches liblinear's optimum, cross-validates as scikit-learn does, and has the right AP."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from tests.transfer.probes.dial import dial
from transfer.probes import svm
from transfer.probes.average_precision import area_ap, eleven_point_ap, step_ap
from transfer.probes.folds import stratified

COSTS = (0.01, 1.0, 100.0)


def present(labels: Tensor, classes: int = 5) -> Tensor:
    """VOC's targets of single labels; a few absent ones are difficult."""
    targets = torch.nn.functional.one_hot(labels, classes)
    targets[::9][targets[::9] == 0] = -1
    return targets


def liblinear(w: np.ndarray, x: np.ndarray, sign: np.ndarray, cost: float) -> float:
    """The objective as liblinear's guide states it, row by row; the bias is the last weight."""
    total = (w**2).sum() / 2
    for row, s in zip(x, sign, strict=True):
        short = max(0.0, 1 - s * (w[:-1] @ row + w[-1]))
        total += cost * (2 if s > 0 else 1) * short**2
    return total


def test_the_optimum_of_every_cost() -> None:
    """Against scipy on the raw problem; rows with sign 0 are left out."""
    data = dial(0.6, classes=3, width=7, each=12)
    signs = torch.where(present(data.labels, 3) == 1, 1, -1)
    signs[::5, 1] = 0
    x = svm.normalised(data.train).numpy()
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, atol=1e-4)
    for cost, model in zip(COSTS, svm.fit(data.train, signs, COSTS), strict=True):
        assert all(model.converged)
        for i in range(3):
            kept = signs[:, i].numpy() != 0
            args = (x[kept], signs[kept, i].numpy(), cost)
            ours = liblinear(np.append(model.weight[i], model.bias[i]), *args)
            theirs = minimize(liblinear, np.zeros(8), args, method="BFGS", options={"gtol": 1e-7}).fun
            assert ours == pytest.approx(float(model.objective[i]) * cost * len(x), rel=1e-10)
            assert ours <= theirs + 1e-6 * cost * len(x)
            assert ours == pytest.approx(theirs, rel=1e-4)


def test_equal_to_liblinear() -> None:
    classes = pytest.importorskip("sklearn.svm", reason="scikit-learn is not installed; scipy is the oracle")
    data = dial(0.6, classes=2, width=10)
    signs = torch.where(present(data.labels, 2) == 1, 1, -1)
    x = svm.normalised(data.train).numpy()
    for cost, model in zip(COSTS, svm.fit(data.train, signs, COSTS), strict=True):
        theirs = classes.LinearSVC(C=cost, class_weight={1: 2, -1: 1}, dual=False, tol=1e-10, max_iter=10000)
        theirs.fit(x, signs[:, 0].numpy())
        np.testing.assert_allclose(model.weight[0], theirs.coef_[0], atol=2e-3 * np.abs(theirs.coef_).max())
        args = (x, signs[:, 0].numpy(), cost)
        best = liblinear(np.append(theirs.coef_, theirs.intercept_), *args)
        assert liblinear(np.append(model.weight[0], model.bias[0]), *args) == pytest.approx(best, rel=1e-5)


def test_folds_keep_the_share_of_each_label() -> None:
    """By hand: in the order of appearance the labels are 7 7 7 7 3 3 3 3, dealt 0 1 2 0 | 1 2 0 1."""
    labels = torch.tensor([7, 7, 3, 7, 3, 7, 3, 3])
    assert stratified(labels, 3).tolist() == [0, 0, 0, 1, 1, 2, 1, 2]


def test_folds_equal_to_scikit_learn() -> None:
    reason = "scikit-learn is not installed; a case by hand stands above"
    selection = pytest.importorskip("sklearn.model_selection", reason=reason)
    random = np.random.default_rng(0)
    for count, folds in ((20, 3), (57, 5)):
        labels = random.choice([-1, 1, 4], count)
        ours = stratified(torch.from_numpy(labels), folds).numpy()
        parts = selection.StratifiedKFold(folds).split(np.zeros(count), labels)
        for number, (_, test) in enumerate(parts):
            assert np.flatnonzero(ours == number).tolist() == test.tolist()


def slow_aps(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float, float]:
    """Step, area and 11-point AP from the definition: a loop over thresholds, and over recalls."""
    points = []
    for threshold in sorted(set(scores), reverse=True):
        taken = scores >= threshold
        hits = (taken & positive).sum()
        points.append((hits / positive.sum(), hits / taken.sum()))
    step = area = last = 0.0
    for recall, precision in points:
        step += (recall - last) * precision
        area += (recall - last) * max(p for r, p in points if r >= recall)
        last = recall
    eleven = [max((p for r, p in points if r >= t), default=0.0) for t in np.arange(0.0, 1.1, 0.1)]
    return step, area, sum(eleven) / 11


def test_three_average_precisions() -> None:
    random = np.random.default_rng(1)
    for count in (9, 31, 120):
        positive = random.random(count) < 0.3
        positive[0] = True
        scores = random.permutation(count) / count + 0.4137 * positive  # no two are equal
        step, area, eleven = slow_aps(scores, positive)
        assert step_ap(scores, positive) == pytest.approx(step)
        assert area_ap(scores, positive) == pytest.approx(area)
        assert eleven_point_ap(scores, positive) == pytest.approx(eleven)
    assert len({step, area, eleven}) == 3
    tied = np.array([1.0, 1.0, 0.5, 0.5, 0.0])
    assert step_ap(tied, np.array([False, True, True, False, True])) == pytest.approx(0.5 * 2 / 3 + 0.6 / 3)


def test_the_cost_is_cross_validated_class_by_class() -> None:
    """By hand for one class: fit two thirds, step AP of the third, mean; then the first best cost on all."""
    data = dial(0.5, classes=3, width=10, each=20)
    targets = present(data.labels, 3)
    found = svm.choose(data.train, targets, COSTS)
    sign = torch.where(targets[:, 1] == 1, 1, -1)
    fold = stratified(sign, 3)
    for column, cost in enumerate(COSTS):
        values = []
        for number in range(3):
            kept = torch.where(fold == number, 0, sign)[:, None]
            (model,) = svm.fit(data.train, kept, (cost,))
            out = fold == number
            values.append(step_ap(model.scores(data.train[out])[:, 0].numpy(), (sign[out] > 0).numpy()))
        assert float(found.cross_validation[1, column]) == pytest.approx(100 * np.mean(values), abs=0.2)
    best = found.cross_validation.argmax(1)
    assert found.model.cost == tuple(COSTS[i] for i in best)
    assert found.at_edge == tuple(COSTS[i] != 1.0 for i in best)
    whole = svm.fit(data.train, torch.where(targets == 1, 1, -1), COSTS)[int(best[1])]
    torch.testing.assert_close(found.model.weight[1], whole.weight[1], atol=1e-3, rtol=1e-2)


def test_difficult_images_are_not_scored() -> None:
    scores = torch.tensor([[3.0, 0.0], [2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    assert svm.average_precisions(scores, [[-1, 1], [1, 0], [0, 0]]).tolist() == pytest.approx([100, 100 / 3])


def test_low_shot_samples() -> None:
    """k positive and (classes - 1) k absent images a class, none difficult, another draw for another seed."""
    targets = present(dial(0.5).labels)
    signs = svm.few(targets, 4, seed=1)
    assert (signs == 1).sum(0).tolist() == [4] * 5
    assert (signs == -1).sum(0).tolist() == [16] * 5
    assert (targets[signs == 1] == 1).all()
    assert (targets[signs == -1] == 0).all()
    assert signs.equal(svm.few(targets, 4, seed=1))
    assert not signs.equal(svm.few(targets, 4, seed=2))
    assert svm.fit(dial(0.5).train, signs, (1.0,))[0].converged == (True,) * 5


def test_every_cost_is_told() -> None:
    data, told = dial(0.6, classes=3, width=6, each=20), []
    svm.choose(data.train, present(data.labels, 3), COSTS, folds=3, advance=told.append)
    assert told == ["cost 0.01", "cost 1", "cost 100"]
