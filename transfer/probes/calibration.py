"""Measures how far a classifier's probabilities may be trusted: ECE, likelihood, Brier score, temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from transfer.probes.checks import ProbeError, checked_features, checked_labels
from transfer.probes.protocols import CALIBRATION_BINS


@dataclass(frozen=True)
class Calibration:
    """Lower is better for each; `ece` in percent."""

    ece: float
    nll: float  # mean, in nats
    brier: float  # mean squared distance of the probabilities from the truth, summed over classes: 0 to 2


def calibration(
    logits: Any, labels: Any, temperature: float = 1.0, bins: int = CALIBRATION_BINS
) -> Calibration:
    """Measures softmax(logits / temperature) (N, K) against labels (N,).

    ECE (Guo et al. 2017): in bins of equal width, open below and closed above, the gap between mean
    confidence and accuracy, weighted by the share of images.
    """
    table, labels = _checked(logits, labels)
    if not temperature > 0:
        raise ProbeError(f"temperature: {temperature:g}, expected above 0")
    log = (table / temperature).log_softmax(1)
    chance = log.exp()
    confidence, predicted = chance.max(1)
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gap = torch.zeros(bins, dtype=table.dtype, device=table.device)
    gap.index_add_(0, place, (predicted == labels).to(table) - confidence)
    truth = torch.nn.functional.one_hot(labels, table.shape[1])
    return Calibration(
        ece=100 * float(gap.abs().sum() / len(table)),
        nll=-float(log.gather(1, labels[:, None]).mean()),
        brier=float((chance - truth).square().sum(1).mean()),
    )


def best_temperature(logits: Any, labels: Any) -> float:
    """The temperature of least NLL, between 1/1000 and 1000, on images that are not those to be reported.

    Ericsson et al. fit it by cross-validation on the test set. NLL has one minimum in 1 / temperature.
    """
    table, labels = _checked(logits, labels)

    def loss(log_temperature: float) -> float:
        log = (table * 10**-log_temperature).log_softmax(1)
        return -float(log.gather(1, labels[:, None]).mean())

    return float(10 ** minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-6}).x)


def _checked(logits: Any, labels: Any) -> tuple[Tensor, Tensor]:
    table = checked_features(logits, "logits").double()
    labels, _ = checked_labels(labels, len(table), table.shape[1])
    return table, labels.to(table.device)
