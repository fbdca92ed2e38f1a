"""Computes fixed positions of sines and cosines, in the two orders that are published. It needs no torch."""

from __future__ import annotations

import numpy as np


def sincos_mae(side: int, width: int) -> np.ndarray:
    """(side * side, width) as in MAE's util/pos_embed.py: sin w, cos w, sin h, cos h, the grid row by row."""
    rows, columns = _angles(side, width)
    return np.concatenate([np.sin(columns), np.cos(columns), np.sin(rows), np.cos(rows)], axis=1)


def sincos_moco(side: int, width: int) -> np.ndarray:
    """As in MoCo v3's vits.py: the same four parts, the grid column by column."""
    rows, columns = _angles(side, width)
    return np.concatenate([np.sin(rows), np.cos(rows), np.sin(columns), np.cos(columns)], axis=1)


def _angles(side: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(place in the column, place in the row) times frequency, each (side * side, width / 4)."""
    quarter = width // 4
    frequency = 1.0 / 10000 ** (np.arange(quarter) / quarter)
    rows, columns = np.divmod(np.arange(side * side), side)
    return rows[:, None] * frequency, columns[:, None] * frequency
