"""Turns features into coordinates whose columns are uncorrelated, without moving any optimum.

A penalty on the squared weights does not see a rotation, and weights outside the span of the rows are zero
at the optimum, so a linear model may be fitted in a basis of that span: N coordinates where N < D.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 65536  # rows that are copied to float64 at a time: 1.1 GB of a ResNet-50's


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


def table_of(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The table that a linear model is fitted on: centred rows without correlation, and a column of ones.

    features (N, D) of any float type -> table (N, p + 1) float64, basis (D, p), mean (D,). Of many rows
    nothing else of the table's size is held: they may be mapped from a file.
    """
    count, width = features.shape
    blocks = features.split(BLOCK)
    mean = torch.stack([block.double().sum(0) for block in blocks]).sum(0) / count
    if len(blocks) == 1 or count < width:
        rotated, basis = uncorrelated(features.double() - mean)
        return torch.cat([rotated, rotated.new_ones(count, 1)], dim=1), basis, mean
    gram = features.new_zeros(width, width, dtype=torch.float64)
    for block in blocks:
        centred = block.double() - mean
        gram += centred.T @ centred
    basis = torch.linalg.eigh(gram).eigenvectors
    table = features.new_ones(count, width + 1, dtype=torch.float64)
    for block, rows in zip(blocks, table.split(BLOCK), strict=True):
        rows[:, :-1] = (block.double() - mean) @ basis
    return table, basis, mean
