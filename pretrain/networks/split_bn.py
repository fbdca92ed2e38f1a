"""Normalises virtual groups of one process's batch apart, so that shuffling has something to shuffle.

On one device a permutation of the batch changes no batch statistic. Split into N groups that are normalised
apart, the batch behaves like a batch on N devices, and the shuffle of MoCo (section 3.3 of the paper) closes
the leak again. State-dict keys are those of BatchNorm2d: checkpoints do not show which of the two it was.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SplitBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose training statistics are taken over `groups` consecutive slices of the batch.

    Group g holds the samples [g*N/groups, (g+1)*N/groups), as process g would. The running statistics are the
    mean over the groups of what each group alone would have made of them. In evaluation it is BatchNorm2d.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def __init__(self, num_features: int, *, groups: int, **kwargs) -> None:
        super().__init__(num_features, **kwargs)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:  # NxCxHxW
        if not self.training or self.groups == 1:
            return super().forward(x)
        if x.shape[0] % self.groups:
            raise ValueError(f"a batch of {x.shape[0]} does not divide into {self.groups} BatchNorm groups")
        means = self.running_mean.repeat(self.groups, 1)  # GxC: each group starts from the common statistics
        variances = self.running_var.repeat(self.groups, 1)
        # Slices of the batch keep its memory format, so the channels_last kernels stay in use.
        slices = [
            F.batch_norm(part, mean, var, self.weight, self.bias, True, self.momentum, self.eps)
            for part, mean, var in zip(x.chunk(self.groups), means, variances, strict=True)
        ]
        with torch.no_grad():
            self.running_mean.copy_(means.mean(0))
            self.running_var.copy_(variances.mean(0))
            self.num_batches_tracked.add_(1)
        return torch.cat(slices)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, groups={self.groups}"
