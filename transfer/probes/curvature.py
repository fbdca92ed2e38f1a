"""Approximates the Hessian of a linear model by a block for each score, where columns alone do not do.

A block is the rows' second moments weighted by the curvature of their loss (Böhning, Annals of the Institute
of Statistical Mathematics 44, 1992, has it with a bound in place of the curvature). Features of huge norms,
as random networks have them, fit in some tens of iterations with it at any C.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_WAIT, PAYS = 50, 500  # iterations; K p / PAYS of them cost about as much as the blocks
LARGEST = 1 << 30  # bytes of the blocks
ROWS = 8192  # that are weighted at a time
FLOOR = 1e-6  # of a block's mean curvature, far above what float32 loses
THIN = 1e-12  # of the widest column's mean square


@dataclass(frozen=True)
class Blocks:
    """The factors of K blocks of p columns, which are scaled to a mean square of 1; float64."""

    factors: Tensor  # (K, p, p) lower triangles
    scale: Tensor  # (p, 1)

    def solve(self, gradient: Tensor) -> Tensor:
        """Divides a gradient (p, 1, K) by the Hessian that the blocks are."""
        sides = (gradient[:, 0] * self.scale).T[..., None]  # (K, p, 1)
        return (torch.cholesky_solve(sides, self.factors)[..., 0].T * self.scale)[:, None]


def waiting(columns: int, scores: int) -> int:
    """The iterations after which blocks are worth their cost, each time; 0: they would be too large."""
    if 8 * scores * columns**2 > LARGEST:
        return 0
    return max(LEAST_WAIT, columns * scores // PAYS)


def blocks(rows: Tensor, curvature: Tensor, penalty: Tensor) -> Blocks | None:
    """Makes the blocks of rows (N, p) from second derivatives (N, K) of their loss and a penalty (p,).

    The moments are summed in float32: they choose a direction, and what is reached is judged without them.
    None where a block has no factor.
    """
    energy = rows.square().mean(0)
    scale = energy.clamp(min=THIN * float(energy.max())).rsqrt()
    count, columns = rows.shape
    made = rows.new_zeros(curvature.shape[1], columns, columns)
    for part, weights in zip(rows.split(ROWS), curvature.split(ROWS), strict=True):
        scaled, roots = (part * scale).float(), weights.clamp(min=0).sqrt().float()
        for moments, root in zip(made, roots.T, strict=True):
            weighted = scaled * root[:, None]
            moments += weighted.T @ weighted
    made /= count
    mean = curvature.mean(0).clamp(min=1e-10)
    made.diagonal(dim1=1, dim2=2).add_(FLOOR * mean[:, None] + penalty * scale**2)
    factors, failed = torch.linalg.cholesky_ex(made)
    return None if failed.any() else Blocks(factors, scale[:, None])
