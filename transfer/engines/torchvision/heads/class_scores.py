"""Scores the classes of regions: a softmax with the background, or a sigmoid a class with the federated loss.

The federated loss (Gupta et al., arXiv 1908.03195, section 4; Zhou et al., arXiv 2103.07461, appendix) is for
data in which an image says of few classes whether they are there. A batch is trained on the classes that it
holds and on some others, drawn by how many images have them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def class_loss(logits: Tensor, classes: Tensor, sigmoid: bool, kept: Tensor | None = None) -> Tensor:
    """The loss of logits (R, K + 1), background last, for classes (R,); 0 without regions.

    sigmoid: the sum of the binary cross-entropies of the classes, or of those in `kept`, over R.
    """
    if len(classes) == 0:
        return logits.sum() * 0
    if not sigmoid:
        return F.cross_entropy(logits, classes)
    background = logits.shape[1] - 1
    kept = torch.arange(background, device=logits.device) if kept is None else kept[kept < background]
    wanted = (classes[:, None] == kept).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits[:, kept], wanted, reduction="sum") / len(classes)


def federated_classes(classes: Tensor, weights: Tensor, number: int) -> Tensor:
    """Returns the classes that a batch is trained on: those of `classes`, and others up to `number`.

    The others are drawn without replacement with chances in proportion to weights (K,). The background, K,
    is never drawn, but counts where `classes` has it, as in Detectron2's `get_fed_loss_classes`.
    """
    present = classes.unique()
    if len(present) >= number:
        return present
    chances = torch.cat([weights.float(), weights.new_zeros(1, dtype=torch.float32)])
    chances[present] = 0
    return torch.cat([present, torch.multinomial(chances, number - len(present))])


def class_scores(logits: Tensor, sigmoid: bool) -> Tensor:
    """Logits (R, K + 1) -> scores (R, K) of the classes, without the background."""
    scores = logits.sigmoid() if sigmoid else logits.softmax(dim=1)
    return scores[:, :-1]
