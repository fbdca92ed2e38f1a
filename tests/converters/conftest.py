"""Weights that the converter tests share, made once per session."""

from __future__ import annotations

import pytest
import torch

from tests.converters.checkpoint_nets import Weights, template, trained


@pytest.fixture(scope="session")
def r50() -> Weights:
    """A full ResNet-50 under torchvision's names, weights that look trained."""
    return trained(template(), seed=1)


@pytest.fixture(scope="session")
def r50_other(r50: Weights) -> Weights:
    """The other encoder: the same network some steps away."""
    return {name: array if array.ndim == 0 else array * array.dtype.type(0.75) for name, array in r50.items()}


@pytest.fixture(scope="session")
def narrow() -> Weights:
    """A complete ResNet-50 of an eighth of the width: 1.6 MB, for rules that do not depend on width."""
    return trained(template(divide=8), seed=2)


@pytest.fixture(scope="session")
def tiny() -> Weights:
    """A complete ResNet-50 of a 32nd of the width, 0.1 MB, for tests that write thousands of files."""
    return trained(template(divide=32), seed=3)


@pytest.fixture(scope="session")
def image() -> torch.Tensor:
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
