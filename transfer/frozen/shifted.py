"""Tests a head that was fitted on one set: on its own test, on another set, or on corrupted images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transfer.datasets.corruptions.constants import NAMES, SEVERITIES
from transfer.datasets.image_list.parts import Task
from transfer.datasets.image_list.public.class_folders import positions
from transfer.evaluation.per_image import Outcomes
from transfer.frozen import heads, linear
from transfer.frozen.heads import Head
from transfer.frozen.learned import learned, tensor, whole
from transfer.frozen.outcomes import classified
from transfer.frozen.probes import Result
from transfer.frozen.view import Corrupted
from transfer.frozen.work import Finish, Finished, Work, there
from transfer.probes import robustness
from transfer.probes.accuracy import accuracy
from transfer.recipes.frozen import MCE


def _head(work: Work, train: Task, name: str) -> Head | None:
    """The head of that name on a task's training images; every process calls it, the main one gets it."""
    if name == "linear":
        return linear.trained(work, train)
    features = work.features(whole(train))
    if not work.world.main:
        return None
    return heads.fitted(learned(train, there(features), train.metric), work.cfg, work.world.device)


def linear_step(work: Work, train: Task, test: Task) -> Finish:
    """A linear layer, on the test images of its own set or of one of the same classes."""
    head, tested = _head(work, train, "linear"), work.features(test.exam.images)

    def finish() -> Finished:
        layer, metric = there(head), test.metric
        predicted = layer.scores(tensor(there(tested))).argmax(1)

        def judge(truth: np.ndarray) -> Result:
            score = _accuracy(predicted, truth, len(test.classes), metric)
            kept = classified("linear", metric, truth, predicted)
            return Result({"linear": {metric: score}}, layer.told, kept)

        return Finished(test.exam.mark(judge), tested, test.exam.images.ids)

    return finish


def ood_step(work: Work, train: Task, test: Task) -> Finish:
    """A head on a set of its classes or of a part of them, beside the clean test images of the same classes.

    The outputs of other classes do not compete, on either.
    """
    head = _head(work, train, work.cfg.PROBE.HEAD)
    among = positions(test.classes, train.classes)
    tested, clean = work.features(test.exam.images), work.features(train.exam.images)

    def finish() -> Finished:
        known = there(head)
        scores, of_clean = (known.scores(tensor(there(one))) for one in (tested, clean))
        predicted = torch.from_numpy(among)[scores[:, among].argmax(1)]

        def at_home(truth: np.ndarray) -> float:
            same = np.isin(truth, among)
            return robustness.top1(of_clean[same], truth[same], among.tolist())

        def judge(truth: np.ndarray) -> Result:
            there, here = robustness.top1(scores, among[truth], among.tolist()), train.exam.mark(at_home)
            numbers = {"top1": there, "clean": here, "drop": here - there}
            kept = classified("ood", "top1", among[truth], predicted)
            return Result({"ood": numbers}, {**known.told, "classes_that_compete": len(among)}, kept)

        return Finished(test.exam.mark(judge), tested, test.exam.images.ids)

    return finish


def corrupt_step(work: Work, train: Task, test: Task) -> Finish:
    """A head on the clean test images, and on fifteen corruptions of them in five severities."""
    head, clean = _head(work, train, work.cfg.PROBE.HEAD), work.features(test.exam.images)
    predicted: dict[str, list[Tensor]] = {}
    for name in NAMES:
        for severity in SEVERITIES:
            images = replace(test.exam.images, name=f"{test.name}, {name} {severity}")
            made = work.features(images, Corrupted(work.view, name, severity))
            if head is not None and made is not None:
                predicted.setdefault(name, []).append(head.scores(tensor(made)).argmax(1))

    def finish() -> Finished:
        known = there(head)
        at_home = known.scores(tensor(there(clean))).argmax(1)

        def judge(truth: np.ndarray) -> Result:
            return _corrupted(known, at_home, predicted, truth, test)

        return Finished(test.exam.mark(judge), clean, test.exam.images.ids)

    return finish


def _corrupted(
    head: Head, at_home: Tensor, predicted: dict[str, list[Tensor]], truth: np.ndarray, test: Task
) -> Result:
    """The mean over all corruptions and severities, the clean number, and the errors; by name in `told`.

    error is 100 minus the mean; relative is that error minus the error on clean images. On ImageNet mCE and
    relative mCE are in units of AlexNet's errors, which were measured on the published pixels.
    """
    metric, classes = test.metric, len(test.classes)
    errors = {
        name: [100 - _accuracy(one, truth, classes, metric) for one in of_name]
        for name, of_name in predicted.items()
    }
    clean, error = _accuracy(at_home, truth, classes, metric), robustness.mean_error(errors)
    numbers = {metric: 100 - error, "clean": clean, "error": error, "relative": error - (100 - clean)}
    if test.name == MCE:
        numbers["mCE"] = robustness.mean_corruption_error(errors)
        numbers["relative_mCE"] = robustness.relative_corruption_error(errors, 100 - clean)
    right = np.mean([one.numpy() == truth for of_name in predicted.values() for one in of_name], axis=0)
    kind: dict[str, Any] = {"kind": "mean" if metric == "top1" else "mean_per_class", "of": "corrupt"}
    arrays = {"corrupt.value": right, "corrupt.label": truth}
    return Result(
        {"corrupt": numbers},
        {**head.told, "errors": errors},
        lambda ids: Outcomes(ids, {f"corrupt/{metric}": kind}, arrays),
    )


def _accuracy(predicted: Tensor, truth: np.ndarray, classes: int, metric: Any) -> float:
    return float(accuracy(predicted, torch.from_numpy(truth), classes, metric))
