"""Computes what several losses are made of, as pure functions of outputs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from pretrain.process import distributed


def cosine(one: Tensor, other: Tensor) -> Tensor:
    """The mean cosine of the rows of two tensors nxC, as `torch.nn.CosineSimilarity` has it."""
    return F.cosine_similarity(one, other, dim=1).mean()


def unit(x: Tensor) -> Tensor:
    """The vectors of nxC, or nxCxP at each of P places, brought to length 1."""
    return F.normalize(x, dim=1)


def queue_nce(queries: Tensor, keys: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of unit queries nxC with their own keys nxC among these and a queue CxK (MoCo's loss)."""
    positive = (queries * keys).sum(1, keepdim=True)
    scores = torch.cat([positive, queries @ queue], dim=1) / temperature
    return F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long, device=scores.device))


@torch.no_grad()
def neighbours(z: Tensor, queue: Tensor) -> Tensor:
    """The nearest columns of a queue CxK to unit rows nxC, as nxC."""
    return queue.T[(z @ queue).argmax(1)]


@torch.no_grad()
def matched(maps: Tensor, others: Tensor, values: Tensor) -> Tensor:
    """For each place of maps nxFxP the values nxC of that place of others nxFxP that is most alike, as nxCxP.

    Alike is what has the largest cosine (DenseCL, section 3.3).
    """
    nearest = (unit(maps).transpose(1, 2) @ unit(others)).argmax(2)
    return values.gather(2, nearest[:, None].expand(-1, values.shape[1], -1))


def info_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of unit queries nxC against the keys NxC of all processes; n are the N's own slice."""
    own = distributed.my_slice(len(keys))
    labels = torch.arange(own.start, own.stop, device=queries.device)
    return F.cross_entropy(queries @ keys.T / temperature, labels)


def soft_cross_entropy(target: Tensor, scores: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy of a softmax of scores nxK against probabilities nxK."""
    return -(target * F.log_softmax(scores / temperature, dim=1)).sum(1).mean()


def squares(one: Tensor, other: Tensor) -> Tensor:
    """The sum of the squared entries of one.T @ other, of tensors NxC each.

    Where images are few it is computed from Gram matrices NxN: two of them, or one of a tensor with itself.
    """
    n, c = one.shape
    if other is one and n < c:
        return (one @ one.T).square().sum()
    if 2 * n < c:
        return ((one @ one.T) * (other @ other.T)).sum()
    return (one.T @ other).square().sum()


def from_identity(diagonal: Tensor, squared: Tensor, weight: float) -> Tensor:
    """Squared distance of a matrix CxC to the identity, `weight` times off the diagonal (Barlow Twins).

    diagonal: (C,) of it. squared: () the sum of the squares of all its entries.
    """
    return (diagonal - 1).square().sum() + weight * (squared - diagonal.square().sum())


def below_one(x: Tensor) -> Tensor:
    """How far the deviations of the columns of NxC are below 1, mean (VICReg, equation 1)."""
    return F.relu(1 - torch.sqrt(x.var(0) + 1e-4)).mean()


def covariance(centred: Tensor) -> Tensor:
    """Squared covariances of different columns of NxC, divided by C (VICReg, equation 4)."""
    off = squares(centred, centred) - centred.square().sum(0).square().sum()
    return off / ((len(centred) - 1) ** 2 * centred.shape[1])


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
