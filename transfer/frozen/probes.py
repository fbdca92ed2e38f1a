"""Lists the probes that recipes name: what each learns from features, and what it is scored by.

A probe gets the features of the images that may be learned from, with their labels, and those of the test
without. What it gives back gets the labels of the test, once, when everything is chosen. It computes where
the features are, on a CPU or a GPU; labels come as numpy arrays, and what is kept is on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from yacs.config import CfgNode

from transfer.errors import TransferError
from transfer.evaluation.per_image import Outcomes
from transfer.frozen.outcomes import classified, ranked
from transfer.probes import episodes, knn, logistic, lowshot, retrieval, ridge, svm
from transfer.probes.accuracy import accuracy
from transfer.probes.average_precision import area_ap, eleven_point_ap
from transfer.probes.calibration import best_temperature, calibration
from transfer.probes.protocols import SVM_COSTS
from transfer.process.progress import progress

Numbers = dict[str, float]


@dataclass(frozen=True)
class Learned:
    """The images that may be learned from: features (N, D), labels, and which rows a choice is scored by.

    labels: (N,) class numbers, or (N, classes) of 1, 0 (difficult) and -1. held_out: (N,) bool.
    """

    features: Tensor
    labels: np.ndarray
    held_out: np.ndarray
    classes: int
    metric: str  # `top1`, `mean_per_class` or `map11`

    @property
    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the rows that are fitted while choosing, and of those that are held out."""
        return np.flatnonzero(~self.held_out), np.flatnonzero(self.held_out)


@dataclass(frozen=True)
class Result:
    """metrics: {group: {name: value}}, in percent where it is a share. told: what was chosen, for the record.

    outcomes: of the ids of the test images makes what the probe did on each; None: it has no such.
    """

    metrics: dict[str, Numbers]
    told: dict[str, Any] = field(default_factory=dict)
    outcomes: Callable[[Sequence[str]], Outcomes] | None = None


Judge = Callable[[np.ndarray], Result]
Probe = Callable[[Learned | None, Tensor, CfgNode], Judge]


def single(learned: Learned | None, many: bool = False) -> Learned:
    """Gives what is learned from; TransferError where there is nothing, or several classes an image."""
    if learned is None:
        raise TransferError("this set is only tested on, and the probe has to learn; choose another set")
    if learned.labels.ndim == 2 and not many:
        raise TransferError(
            "the set has several classes an image, which PROBE.NAME svm alone takes; choose it"
        )
    return learned


def _knn(learned: Learned | None, test: Tensor, cfg: CfgNode) -> Judge:
    known = single(learned)
    counts = list(cfg.PROBE.NEIGHBOURS)
    labels = torch.from_numpy(known.labels)
    found = knn.classify(known.features, labels, test, counts, cfg.PROBE.TEMPERATURE, known.classes).cpu()

    def judge(truth: np.ndarray) -> Result:
        scores = accuracy(found, torch.from_numpy(truth), known.classes, known.metric)  # type: ignore[arg-type]
        numbers = {f"k{k}": float(score) for k, score in zip(counts, scores, strict=True)}
        first = float(scores[0])
        kept = classified("knn", known.metric, truth, found[0])
        return Result({"knn": {known.metric: first, **numbers}}, {}, kept)

    return judge


def regression(known: Learned, cfg: CfgNode) -> logistic.Chosen:
    """Fits logistic regression by the recipe's grid of C, where the features are."""
    labels, grid = torch.from_numpy(known.labels), grid_of(cfg)
    with progress("logistic regression, a C each", len(grid) + 1) as advance:
        parts = (known.features, labels, *known.rows, grid, known.classes)
        return logistic.choose(*parts, known.metric, advance)  # type: ignore[arg-type]


def least_squares(known: Learned, cfg: CfgNode) -> ridge.ChosenRidge:
    """Fits ridge regression by penalties 1 / C of the recipe's grid, where the features are."""
    penalties = tuple(1 / c for c in reversed(grid_of(cfg)))
    labels = torch.from_numpy(known.labels)
    return ridge.choose(known.features, labels, penalties, known.classes, known.metric)  # type: ignore[arg-type]


def _logreg(learned: Learned | None, test: Tensor, cfg: CfgNode) -> Judge:
    known = single(learned)
    chosen = regression(known, cfg)
    logits = chosen.model.scores(test)[0].cpu()
    temperature = best_temperature(chosen.blind.cpu(), torch.from_numpy(known.labels[known.held_out]))
    told = {
        "C": chosen.C,
        "at_edge_of_grid": chosen.at_edge,
        "held_out": [round(float(value), 3) for value in chosen.held_out],
        "unconverged": [c for c, ok in zip(chosen.tried, chosen.converged, strict=True) if not ok],
        "untried": list(grid_of(cfg)[len(chosen.tried) :]),
        "temperature": temperature,
    }

    def judge(truth: np.ndarray) -> Result:
        labels = torch.from_numpy(truth)
        predicted = logits.argmax(1)
        score = float(accuracy(predicted, labels, known.classes, known.metric))  # type: ignore[arg-type]
        raw, scaled = calibration(logits, labels), calibration(logits, labels, temperature)
        calib = {"ECE": raw.ece, "ECE_scaled": scaled.ece}
        kept = classified("logreg", known.metric, truth, predicted)
        return Result({"logreg": {known.metric: score}, "calib": calib}, told, kept)

    return judge


def _ridge(learned: Learned | None, test: Tensor, cfg: CfgNode) -> Judge:
    known = single(learned)
    chosen = least_squares(known, cfg)
    predicted = chosen.model.scores(test).argmax(1).cpu()
    told = {"penalty": chosen.model.penalty, "at_edge_of_grid": chosen.at_edge}

    def judge(truth: np.ndarray) -> Result:
        score = accuracy(predicted, torch.from_numpy(truth), known.classes, known.metric)  # type: ignore[arg-type]
        kept = classified("ridge", known.metric, truth, predicted)
        return Result({"ridge": {known.metric: float(score)}}, told, kept)

    return judge


def _svm(learned: Learned | None, test: Tensor, cfg: CfgNode) -> Judge:
    known = single(learned, many=True)
    targets = _targets(known.labels, known.classes)
    with progress("SVM, a cost each", len(SVM_COSTS)) as advance:
        chosen = svm.choose(known.features, targets, advance=advance)
    scores = chosen.model.scores(test).cpu()
    told = {"costs": list(chosen.model.cost), "at_edge_of_grid": list(chosen.at_edge)}

    def judge(truth: np.ndarray) -> Result:
        targets = _targets(truth, known.classes)
        area, eleven = (svm.average_precisions(scores, targets, rule) for rule in (area_ap, eleven_point_ap))
        kept = ranked("svm", targets.numpy(), scores.numpy())
        return Result({"svm": {"mAP": float(area.mean()), "mAP11": float(eleven.mean())}}, told, kept)

    return judge


def _lowshot(learned: Learned | None, test: Tensor, cfg: CfgNode) -> Judge:
    known = single(learned, many=True)
    targets = _targets(known.labels, known.classes)
    shots = list(cfg.PROBE.SHOTS)
    models = {
        k: lowshot.choose(known.features, targets, k, cfg.PROBE.DRAWS, cfg.PROBE.SEED, SVM_COSTS)
        for k in shots
    }
    scores = {k: [one.scores(test) for one in model.models] for k, model in models.items()}
    costs = {str(k): model.cost for k, model in models.items()}
    told = {"costs": costs, "at_edge_of_grid": {str(k): model.at_edge for k, model in models.items()}}

    def judge(truth: np.ndarray) -> Result:
        right = _targets(truth, known.classes)
        numbers: Numbers = {}
        for k in shots:
            draws = torch.stack([svm.average_precisions(one, right).mean() for one in scores[k]])
            numbers |= {f"mAP_k{k}": float(draws.mean()), f"sd_k{k}": float(draws.std())}
        return Result({"lowshot": numbers}, told)

    return judge


def _targets(labels: np.ndarray, classes: int) -> Tensor:
    """(N, classes) of 1, 0 (absent) and -1 (difficult), where lists have absent -1 and difficult 0."""
    if labels.ndim == 1:
        return torch.nn.functional.one_hot(torch.from_numpy(labels), classes)
    return torch.from_numpy(np.where(labels == 1, 1, -1 - labels.astype(np.int64)))


def _fewshot(learned: Learned | None, test: Tensor, cfg: CfgNode) -> Judge:
    """Episodes are drawn from the test images alone; nothing is learned or chosen before."""

    def judge(truth: np.ndarray) -> Result:
        numbers, told = {}, {}
        for shots in cfg.PROBE.SHOTS:
            found = episodes.few_shot(
                test, torch.from_numpy(truth), shots, cfg.PROBE.SEED, episodes=cfg.PROBE.EPISODES
            )
            numbers[f"acc{shots}"], told[f"interval{shots}"] = found.mean, found.interval
        # Episodes share images: as many as one likes are no sample by which two rows could be told apart.
        return Result({"fewshot": numbers}, told)

    return judge


def _retrieval(learned: Learned | None, test: Tensor, cfg: CfgNode) -> Judge:
    """Each test image looks for the others of its class among all test images."""

    def judge(truth: np.ndarray) -> Result:
        found = retrieval.same_class(test, torch.from_numpy(truth))
        numbers = {"mAP": found.mean, **{f"R{k}": found.mean_at(k) for k in found.at}}
        precision = {"retrieval.value": found.average_precision / 100, "retrieval.label": truth}
        metrics = {"retrieval/mAP": {"kind": "mean", "of": "retrieval"}}
        whole = np.isfinite(found.average_precision).all()  # a class of one image has nothing to find
        return Result(
            {"retrieval": numbers},
            {},
            (lambda ids: Outcomes(ids, metrics, precision, "query")) if whole else None,
        )

    return judge


def grid_of(cfg: CfgNode) -> tuple[float, ...]:
    """Values of C, evenly in the exponent."""
    low, high = cfg.PROBE.GRID
    return tuple(float(c) for c in np.geomspace(low, high, cfg.PROBE.GRID_SIZE))


PROBES: Mapping[str, Probe] = {
    "knn": _knn,
    "logreg": _logreg,
    "ridge": _ridge,
    "svm": _svm,
    "lowshot": _lowshot,
    "fewshot": _fewshot,
    "retrieval": _retrieval,
}
