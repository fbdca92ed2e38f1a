"""Fits what scores every class of an image: a head, which other suites test on other images than its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from transfer.frozen.device import fitted_on
from transfer.frozen.probes import Learned, grid_of, single
from transfer.probes import logistic, ridge
from transfer.process.distributed import device_name


@dataclass(frozen=True)
class Head:
    """scores: features (M, D) on the CPU -> (M, K) on the CPU. told: what was chosen, for the record."""

    scores: Callable[[Tensor], Tensor]
    told: dict[str, Any]


def _logreg(known: Learned, cfg: CfgNode, device: torch.device) -> Head:
    fitted, held = known.rows
    chosen = logistic.choose(
        known.features.to(device),
        torch.from_numpy(known.labels),
        fitted,
        held,
        grid_of(cfg),
        known.classes,
        known.metric,  # type: ignore[arg-type]
    )
    told = {"C": chosen.C, "at_edge_of_grid": chosen.at_edge, "held_out": chosen.held_out.tolist()}
    return Head(lambda features: chosen.model.scores(features.to(device))[0].cpu(), told)


def _ridge(known: Learned, cfg: CfgNode, device: torch.device) -> Head:
    penalties = tuple(1 / c for c in reversed(grid_of(cfg)))
    chosen = ridge.choose(
        known.features.to(device),
        torch.from_numpy(known.labels),
        penalties,
        known.classes,
        known.metric,  # type: ignore[arg-type]
    )
    told = {"penalty": chosen.model.penalty, "at_edge_of_grid": chosen.at_edge}
    return Head(lambda features: chosen.model.scores(features.to(device)).cpu(), told)


# Those of cached features; a linear layer by SGD is trained in `linear`.
CLOSED: Mapping[str, Callable[[Learned, CfgNode, torch.device], Head]] = {"logreg": _logreg, "ridge": _ridge}


def fitted(learned: Learned, cfg: CfgNode, device: torch.device) -> Head:
    """The recipe's head on features that are there; nothing of the test is seen."""
    name, known = cfg.PROBE.HEAD, single(learned)
    head, there = fitted_on(device, name, lambda where: CLOSED[name](known, cfg, where))
    return Head(head.scores, {**head.told, "device": device_name(there)})
