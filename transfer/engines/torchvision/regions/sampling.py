"""Matches anchors and proposals to objects, and draws those that are trained on.

torchvision's Matcher moves a low-quality match to another box, and its sampler cannot say which candidates
were drawn; Detectron2 does neither, so the few lines are here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import box_iou

IGNORE = -1


def match(
    gt_boxes: Tensor, candidates: Tensor, low: float, high: float, low_quality: bool
) -> tuple[Tensor, Tensor]:
    """(gt index (R,), label (R,)) of every candidate; label 1: matched, 0: background, -1: in between.

    `low_quality` also labels the best candidates of every box 1, while the index stays their own best box.
    """
    if len(gt_boxes) == 0:
        zeros = torch.zeros(len(candidates), dtype=torch.int64, device=candidates.device)
        return zeros, zeros
    quality = box_iou(gt_boxes, candidates)  # (G, R)
    best, index = quality.max(dim=0)
    labels = torch.full_like(index, IGNORE)
    labels[best < low] = 0
    labels[best >= high] = 1
    if low_quality:
        best_of_box = quality.max(dim=1, keepdim=True).values  # (G, 1); ties are all labelled
        labels[(quality == best_of_box).any(dim=0)] = 1
    return index, labels


def sample(
    positive: Tensor, negative: Tensor, number: int, positive_fraction: float
) -> tuple[Tensor, Tensor]:
    """Draws indices where the masks (R,) hold: up to that fraction of `number` positives, then negatives."""
    pos, neg = positive.nonzero().squeeze(1), negative.nonzero().squeeze(1)
    num_pos = min(len(pos), int(number * positive_fraction))
    num_neg = min(len(neg), number - num_pos)
    chosen_pos = pos[torch.randperm(len(pos), device=pos.device)[:num_pos]]
    chosen_neg = neg[torch.randperm(len(neg), device=neg.device)[:num_neg]]
    return chosen_pos, chosen_neg
