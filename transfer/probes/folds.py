"""Splits labelled rows into folds in which each label has its share, without a draw."""

from __future__ import annotations

import torch
from torch import Tensor


def stratified(labels: Tensor, folds: int) -> Tensor:
    """Gives the fold (N,) of each row, equal to scikit-learn's StratifiedKFold without shuffling.

    Labels are laid out one after the other, in the order of their first row, and dealt to the folds in turn;
    the share that a fold gets of a label are the next rows of that label.
    """
    values, inverse, counts = labels.unique(return_inverse=True, return_counts=True)
    first = torch.stack([(inverse == value).nonzero()[0, 0] for value in range(len(values))])
    found, begin = torch.empty_like(inverse), 0
    for value in first.argsort().tolist():
        places = torch.arange(begin, begin + int(counts[value]), device=labels.device)
        share = (places % folds).bincount(minlength=folds)
        found[inverse == value] = torch.arange(folds, device=labels.device).repeat_interleave(share)
        begin += int(counts[value])
    return found
