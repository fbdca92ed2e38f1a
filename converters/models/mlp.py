"""Computes the part of a transformer block that looks at each token alone: a plain or a gated MLP."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def quick_gelu(x: Tensor) -> Tensor:
    """CLIP's approximation of GELU: x * sigmoid(1.702 x)."""
    return x * torch.sigmoid(1.702 * x)


def _gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": _gelu_tanh,
    "quick_gelu": quick_gelu,
    "silu": F.silu,
}


class Mlp(nn.Module):
    """Two layers with an activation between them, and a norm after it where `norm_eps` is given."""

    def __init__(self, width: int, hidden: int, activation: str, norm_eps: float | None):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.fc1 = nn.Linear(width, hidden)
        if norm_eps is not None:
            self.norm = nn.LayerNorm(hidden, norm_eps)
        self.normed = norm_eps is not None
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.fc1(x))
        return self.fc2(self.norm(x) if self.normed else x)


class SwiGLU(nn.Module):
    """A layer of values times a gate, and a second layer (Shazeer, arXiv 2002.05202).

    The gate is SiLU, as the name says, whatever activation the rest of a network states.
    """

    def __init__(self, width: int, hidden: int, norm_eps: float | None):
        super().__init__()
        self.fc1_g = nn.Linear(width, hidden)
        self.fc1_x = nn.Linear(width, hidden)
        if norm_eps is not None:
            self.norm = nn.LayerNorm(hidden, norm_eps)
        self.normed = norm_eps is not None
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.fc1_g(x)) * self.fc1_x(x)
        return self.fc2(self.norm(x) if self.normed else x)
