"""Tells a model how often each class is seen, for the draws of the federated loss; for both engines."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

BUFFER = "fed_loss_cls_weights"  # Detectron2's name for the chances of the classes, in every box predictor


def class_weights(categories: Iterable[Iterable[int]], number: int, power: float) -> Tensor:
    """Returns the chances (number,) of the classes: how many images have each, to a power.

    categories: the classes of each image's objects, read once. Detectron2 reads the same counts from LVIS'
    own list. A class that no image has counts as one, for there must be enough classes to draw from.
    """
    counts = np.zeros(number, np.int64)
    for of_image in categories:
        counts[list(set(of_image))] += 1
    return torch.from_numpy(np.maximum(counts, 1)).float() ** power


def set_class_weights(model: nn.Module, weights: Tensor) -> None:
    """Sets the chances of the classes (K,) in every box predictor of a model that has them."""
    for name, buffer in model.named_buffers():
        if name.endswith(BUFFER):
            buffer.copy_(weights)
