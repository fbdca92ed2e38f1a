"""Defines the interface behind which the two engines stand: build, state, solver, losses, predict.

All else (data order, the loop, resuming, precise BN, evaluation) is shared, so a difference between two
engines can only come from what is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from transfer.evaluation.prediction import Prediction
from transfer.samples.sample import Sample


class Engine(Protocol):
    """A stateless set of functions; the model carries the state."""

    def build(self, cfg: CfgNode, device: torch.device) -> nn.Module:
        """Builds the recipe's model at its random initialisation, drawn from torch's global generator."""

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        """Returns the model's own tensors, not copies, under Detectron2's names."""

    def load_state(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Sets every tensor of the model; the strict inverse of `state`."""

    def solver(
        self, cfg: CfgNode, model: nn.Module
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """Makes the recipe's optimizer, and its schedule, stepped once per iteration."""

    def losses(self, model: nn.Module, batch: Sequence[Sample]) -> dict[str, Tensor]:
        """Computes named scalar losses of a model in training mode; their sum is minimised."""

    def predict(self, model: nn.Module, batch: Sequence[Sample]) -> list[Prediction]:
        """Predicts with a model in evaluation mode, in original pixels."""
