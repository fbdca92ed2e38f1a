"""Computes the terms of `terms.TERMS`, each under its name there, and the weighted sum of a run.

All are functions of projections nxC of this process's images, as the projector gives them. What compares
images with each other takes those of all processes, and gradients flow back to where they come from.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from pretrain.methods.joint import losses
from pretrain.methods.joint.losses import unit
from pretrain.methods.joint.outputs import Outputs
from pretrain.methods.joint.terms import OWN, TERMS
from pretrain.process import distributed

TEMPERATURE = 0.1  # SimCLR's and NNCLR's
SCALE, BIAS = 10.0, -10.0  # SigLIP's first values, which it goes on to learn
LAMBDA = 0.0051  # of the official code of Barlow Twins


def summed(terms: tuple[tuple[str, float], ...], own: Tensor, online: Outputs, target: Outputs) -> Tensor:
    """The row's own loss and its terms, each times its weight.

    Terms look at the first two views; those of each view alone at the mean over both. A row whose online
    branch sees one view is compared with its target of the other, through which no gradient goes.
    """
    views = online.projections[:2]
    pair = views if len(views) == 2 else [views[0], target.projections[0].detach()]
    weights = {OWN: 1.0} | dict(terms)
    total = weights.pop(OWN) * own
    for name, weight in weights.items():
        loss = globals()[name]
        value = loss(*pair) if TERMS[name].pair else torch.stack([loss(view) for view in views]).mean()
        total = total + weight * value
    return total


def alignment(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared distance of unit rows (Wang and Isola 2020, equation 2 with alpha 2)."""
    return (unit(x) - unit(y)).square().sum(1).mean()


def cosine(x: Tensor, y: Tensor) -> Tensor:
    """Minus the mean cosine of rows (SimSiam, equation 1)."""
    return -losses.cosine(x, y)


def infonce(x: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of each row with its other view among those of all images, mean of both ways."""
    x, y = unit(x), unit(y)
    everywhere = distributed.gather_with_gradient
    both = (losses.info_nce(a, everywhere(b), TEMPERATURE) for a, b in ((x, y), (y, x)))
    return torch.stack(list(both)).mean()


def koleo(x: Tensor) -> Tensor:
    """Minus the mean log distance of unit rows to their nearest (DINOv2, appendix A; over all processes)."""
    x = distributed.gather_with_gradient(unit(x))
    with torch.no_grad():
        alike = (x @ x.T).fill_diagonal_(-2.0)
        nearest = alike.argmax(1)
    return -(torch.linalg.vector_norm(x - x[nearest] + 1e-8, dim=1) + 1e-8).log().mean()


def redundancy(x: Tensor, y: Tensor) -> Tensor:
    """Squared distance of the correlation of two views to the identity (Barlow Twins, equation 1)."""
    one, other = (distributed.gather_with_gradient(z) for z in (x, y))
    a, b = ((z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt() for z in (one, other))
    squared = losses.squares(a, b) / len(a) ** 2
    return losses.from_identity((a * b).mean(0), squared, LAMBDA)


def sigmoid(x: Tensor, y: Tensor) -> Tensor:
    """Log loss of every pair of images by itself: the same or not (SigLIP, algorithm 1)."""
    scores = SCALE * unit(x) @ distributed.gather_with_gradient(unit(y)).T + BIAS  # nxN
    own = distributed.my_slice(scores.shape[1])
    same = F.one_hot(torch.arange(own.start, own.stop, device=x.device), scores.shape[1])
    return -F.logsigmoid(scores * (2 * same - 1)).sum(1).mean()


def uniformity(x: Tensor) -> Tensor:
    """Log of the mean of exp(-2 d^2) over all pairs of unit rows (Wang and Isola 2020, equation 3)."""
    distances = torch.pdist(distributed.gather_with_gradient(unit(x)))
    return distances.square().mul(-2).exp().mean().log()


def vicreg_covariance(x: Tensor) -> Tensor:
    """Squared covariances of different dimensions, divided by their number (VICReg, equation 4)."""
    x = distributed.gather_with_gradient(x)
    return losses.covariance(x - x.mean(0))


def vicreg_invariance(x: Tensor, y: Tensor) -> Tensor:
    """Squared distance, mean over dimensions as in the official code (VICReg, equation 5)."""
    return F.mse_loss(x, y)


def vicreg_variance(x: Tensor) -> Tensor:
    """How far the deviations of dimensions are below 1, mean (VICReg, equation 1)."""
    return losses.below_one(distributed.gather_with_gradient(x))
