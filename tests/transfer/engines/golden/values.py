"""Makes weights and inputs from names and shapes alone, and takes of a tensor what is stored and compared.

So the golden numbers that Detectron2 made can be compared on a machine that has no Detectron2.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def noise(name: str, *shape: int) -> Tensor:
    """Standard normal numbers that belong to a name."""
    return torch.from_numpy(np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)).float()


def fill(module: nn.Module) -> None:
    """Fills a head's parameters by their names."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(noise(name, *parameter.shape) * 0.3)


def weights(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Trained-looking values for every tensor: residual branches small, norms away from 0 and 1, no zeros."""
    return {name: _weight(name, tensor) for name, tensor in state.items()}


def _weight(name: str, like: Tensor) -> Tensor:
    values = noise(name, *like.shape)
    if name.endswith("num_batches_tracked"):
        return torch.tensor(1000)
    if name.endswith("fed_loss_cls_weights"):
        return 1 + values.abs()
    if name.endswith("running_mean"):
        return 0.02 * values
    if name.endswith("running_var"):
        return 2 + 0.1 * values
    if ".norm." in name and name.endswith("weight"):
        return (0.2 if "conv3" in name else 1.0) * (1 + 0.1 * values)
    if name.endswith("weight") and like.ndim == 1:  # a layer norm
        return 1 + 0.1 * values
    if ".blocks." in name and not name.endswith("bias") or name.endswith("pos_embed"):
        return 0.1 * values
    if name.endswith("bias"):
        return 0.1 * values
    if like.ndim == 4 and "proposal_generator" not in name:  # He et al., fan out
        return values * (2 / (like.shape[0] * like.shape[2] * like.shape[3])) ** 0.5
    return values * (0.08 if "cls_score" in name or "objectness" in name else 0.01)


def probe(tensor: Tensor | None, most: int = 6) -> list[float]:
    """Up to `most` entries spread over a tensor."""
    assert tensor is not None
    flat = tensor.detach().double().flatten()
    where = torch.linspace(0, len(flat) - 1, min(most, len(flat)), dtype=torch.float64).round().long()
    return flat[where].tolist()


def rounded(value: Any) -> Any:
    """JSON with seven significant digits a number: float32 has no more."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, list):
        return [rounded(v) for v in value]
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return value
