"""Fits what scores every class of an image: a head, which other suites test on other images than its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from transfer.frozen.device import fitted_on
from transfer.frozen.probes import Learned, least_squares, regression, single
from transfer.process.distributed import device_name


@dataclass(frozen=True)
class Head:
    """scores: features (M, D) on the CPU -> (M, K) on the CPU. told: what was chosen, for the record."""

    scores: Callable[[Tensor], Tensor]
    told: dict[str, Any]


def _logreg(known: Learned, cfg: CfgNode) -> Head:
    chosen = regression(known, cfg)
    told = {"C": chosen.C, "at_edge_of_grid": chosen.at_edge, "held_out": chosen.held_out.tolist()}
    return Head(lambda features: chosen.model.scores(features)[0], told)


def _ridge(known: Learned, cfg: CfgNode) -> Head:
    chosen = least_squares(known, cfg)
    told = {"penalty": chosen.model.penalty, "at_edge_of_grid": chosen.at_edge}
    return Head(chosen.model.scores, told)


# Those of cached features; a linear layer by SGD is trained in `linear`.
CLOSED: Mapping[str, Callable[[Learned, CfgNode], Head]] = {"logreg": _logreg, "ridge": _ridge}


def fitted(learned: Learned, cfg: CfgNode, device: torch.device) -> Head:
    """The recipe's head on features that are there; nothing of the test is seen."""
    name, known = cfg.PROBE.HEAD, single(learned)

    def fit(where: torch.device) -> Head:
        return CLOSED[name](replace(known, features=known.features.to(where)), cfg)

    head, there = fitted_on(device, name, fit)
    told = {**head.told, "device": device_name(there)}
    return Head(lambda features: head.scores(features.to(there)).cpu(), told)
