"""Turns features into coordinates whose columns are uncorrelated, without moving any optimum.

A penalty on the squared weights does not see a rotation, and weights outside the span of the rows are zero
at the optimum, so a linear model may be fitted in a basis of that span: N coordinates where N < D.
"""

from __future__ import annotations

import torch
from torch import Tensor


def uncorrelated(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rotates rows (N, D) to (N, p), p = min(N, D), with the basis (D, p), whose columns are orthonormal.

    rows = rotated @ basis.T. The rotated columns are uncorrelated about 0; centre the rows before if wanted.
    """
    if len(rows) >= rows.shape[1]:
        basis = torch.linalg.eigh(rows.T @ rows).eigenvectors
        return rows @ basis, basis
    span, triangle = torch.linalg.qr(rows.T)  # (D, N), (N, N)
    turn = torch.linalg.eigh(triangle @ triangle.T).eigenvectors
    return triangle.T @ turn, span @ turn
