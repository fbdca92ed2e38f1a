"""Computes what several losses are made of, as pure functions of outputs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from pretrain.process import distributed


def cosine(one: Tensor, other: Tensor) -> Tensor:
    """The mean cosine of the rows of two tensors nxC, as `torch.nn.CosineSimilarity` has it."""
    return F.cosine_similarity(one, other, dim=1).mean()


def info_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of unit queries nxC against the keys NxC of all processes; n are the N's own slice."""
    own = distributed.my_slice(len(keys))
    labels = torch.arange(own.start, own.stop, device=queries.device)
    return F.cross_entropy(queries @ keys.T / temperature, labels)


def soft_cross_entropy(target: Tensor, scores: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy of a softmax of scores nxK against probabilities nxK."""
    return -(target * F.log_softmax(scores / temperature, dim=1)).sum(1).mean()


def off_diagonal(square: Tensor) -> Tensor:
    """The entries of a matrix DxD that are not on its diagonal, as a vector."""
    size = len(square)
    return square.flatten()[:-1].view(size - 1, size + 1)[:, 1:].flatten()


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float, rounds: int) -> Tensor:
    """Assigns this process's B rows of scores BxK softly to prototypes that are used equally by all.

    SwAV, section 3.1 and appendix A. Sums run over all processes. Each row of the result sums to 1.
    """
    q = torch.exp(scores / epsilon).T  # KxB
    samples = q.shape[1] * distributed.world_size()
    q = q / distributed.sum_in_place(q.sum())
    for _ in range(rounds):
        q = q / distributed.sum_in_place(q.sum(1, keepdim=True)) / len(q)
        q = q / q.sum(0, keepdim=True) / samples
    return (q * samples).T
