"""Freezes a backbone that only heads are trained on: no gradient, and evaluation mode at all times."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Frozen(nn.Module):
    """Stays in evaluation mode, whatever its model is in, and keeps nothing for a backward pass.

    So drop path, dropout and the statistics of norms are off, as when the features are computed beforehand.
    """

    def train(self, mode: bool = True) -> Frozen:
        return super().train(False)

    @torch.no_grad()
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return super().forward(*args, **kwargs)


def freeze(backbone: nn.Module) -> None:
    """Freezes a backbone in its place: the names of its tensors, and its class by `isinstance`, stay."""
    backbone.requires_grad_(False)
    kind = type(backbone)
    backbone.__class__ = type(f"Frozen{kind.__name__}", (Frozen, kind), {})
    backbone.train()
