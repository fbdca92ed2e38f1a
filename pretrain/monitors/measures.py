"""Measures of a batch of features or soft targets that tell a collapse: pure functions, in float64.

A low loss is no evidence: BYOL and SimSiam collapse at its minimum. None of these needs a label.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from transfer.probes.spread import effective_rank


def rankme(features: Tensor, eps: float = 1e-7) -> float:
    """The effective rank of NxD features, from 1 to min(N, D): RankMe (arXiv 2210.02885, equation 1).

    It is the exponential of the entropy of the singular values' shares.
    """
    return effective_rank(torch.linalg.svdvals(features.double()), eps)


def lidar(features: Tensor, delta: float = 1e-4, eps: float = 1e-8) -> float:
    """The effective rank of V views of N images, NxVxD, beside the noise between views: LiDAR (2312.04000).

    Eigenvalues are those of Sw^-1/2 Sb Sw^-1/2, Sb the covariance of the images' means and Sw that of the
    views about them plus `delta`. All matrices here are NxN or NVxNV, whatever D is.
    """
    images, views, width = features.shape
    means = features.double().mean(1)
    between = (means - means.mean(0)) / max(1, images - 1) ** 0.5  # NxD
    within = (features.double() - means[:, None]).flatten(0, 1)
    within = within / max(1, images * (views - 1)) ** 0.5  # NVxD
    cross = within @ between.T  # NVxN
    # Woodbury's identity, for Sw = delta + within' within
    inner = within @ within.T + delta * torch.eye(len(within), dtype=torch.float64, device=within.device)
    matrix = (between @ between.T - cross.T @ torch.linalg.solve(inner, cross)) / delta
    values = torch.linalg.eigvalsh(matrix).clamp_min(0).flip(0)  # the largest first
    found = F.pad(values[:width], (0, max(0, width - images)))
    return effective_rank(found + eps, 0.0)


def alignment(views: Tensor) -> float:
    """Mean squared distance of normalised views of one image; `views` NxVxD, of which the first two count."""
    unit = F.normalize(views[:, :2].double(), dim=2)
    return float((unit[:, 0] - unit[:, 1]).square().sum(1).mean())


def uniformity(features: Tensor, t: float = 2.0) -> float:
    """Logarithm of the mean of exp(-t |x - y|^2) over the pairs of NxD: about -2t where spread, 0 collapsed.

    Both are of arXiv 2005.10242.
    """
    squares = torch.pdist(F.normalize(features.double(), dim=1)).square()
    return float(squares.mul(-t).exp().mean().log())


def target_entropy(targets: Tensor) -> float:
    """Mean entropy of the rows of NxK probabilities, as a share of ln K.

    0 where each is one class for sure (no centring), 1 where all are alike (no sharpening): DINO, 5.3.
    """
    return float(entropy(targets.double()).mean()) / math.log(max(2, targets.shape[1]))


def code_usage(targets: Tensor) -> float:
    """Share of the K codes that NxK probabilities use, by the entropy of their mean: 1/K is one code."""
    return math.exp(float(entropy(targets.double().mean(0)))) / targets.shape[1]


def entropy(shares: Tensor) -> Tensor:
    """In nats, of shares (..., K) that sum to 1."""
    return -torch.xlogy(shares, shares).sum(-1)
