"""Puts together what a probe learns from: features, labels, and which images are held out."""

from __future__ import annotations

import numpy as np
import torch

from transfer.datasets.image_list.images import Images
from transfer.datasets.image_list.parts import Learnable, Task
from transfer.errors import TransferError
from transfer.frozen.probes import Learned


def whole(task: Task) -> Images:
    """The images that may be learned from."""
    if task.learn is None:
        raise TransferError(f"{task.name} is only tested on; name a set that is trained on, too")
    return task.learn.whole().without_labels()


def tensor(features: np.ndarray) -> torch.Tensor:
    """The features, still mapped from their file: of ImageNet they are 10.5 GB."""
    return torch.from_numpy(features)


def learned(task: Task, features: np.ndarray, metric: str) -> Learned:
    """The features of what may be learned from, with its labels and what is held out."""
    learn: Learnable | None = task.learn
    assert learn is not None
    images, held = learn.whole(), set(learn.held_out.ids)
    return Learned(
        features=tensor(features),
        labels=images.labels,
        held_out=np.array([one in held for one in images.ids]),
        classes=len(task.classes),
        metric=metric,
    )
