"""Makes features of known quality: class signal times quality, in noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Dial(NamedTuple):
    """A training and a test set of the same classes."""

    train: Tensor  # (N, D) float64
    labels: Tensor  # (N,)
    test: Tensor
    truth: Tensor


def dial(quality: float, classes: int = 5, width: int = 24, each: int = 30, seed: int = 0) -> Dial:
    """Features of `each` images a class and set; quality 0 says nothing, at 1 signal equals noise."""
    random = np.random.default_rng(seed)
    means = random.standard_normal((classes, width))
    labels = random.permutation(np.repeat(np.arange(classes), each))
    truth = random.permutation(np.repeat(np.arange(classes), each))
    noise = random.standard_normal((2, len(labels), width))
    train, test = (
        torch.from_numpy(quality * means[part] + n) for part, n in zip((labels, truth), noise, strict=True)
    )
    return Dial(train, torch.from_numpy(labels), test, torch.from_numpy(truth))


def rotation(width: int) -> Tensor:
    """A random rotation (width, width)."""
    return torch.from_numpy(np.linalg.qr(np.random.default_rng(9).standard_normal((width, width)))[0])
