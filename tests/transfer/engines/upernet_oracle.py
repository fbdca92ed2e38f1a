"""Computes UperNet slowly and plainly, from its parameters alone: each pixel from its neighbours, in numpy.

It follows the words of the paper (arXiv 1807.10221) and mmsegmentation's choices: pooled cells are bins whose
borders may overlap, interpolation does not align corners, norms use biased variance and 1e-5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

State = dict[str, np.ndarray]


def convolved(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(N, C, H, W) by (O, C, k, k), zeros around: a sum over the k * k shifts."""
    side = weight.shape[-1] // 2
    height, width = x.shape[2:]
    wide = np.pad(x, ((0, 0), (0, 0), (side, side), (side, side)))
    found = 0.0
    for i in range(2 * side + 1):
        for j in range(2 * side + 1):
            found = found + np.einsum(
                "nchw,oc->nohw", wide[:, :, i : i + height, j : j + width], weight[:, :, i, j]
            )
    return np.asarray(found)


def normed(x: np.ndarray, state: State, name: str, train: bool) -> np.ndarray:
    """Batch norm: of the batch in training, else by the running statistics."""
    if train:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    else:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    scale = state[f"{name}.weight"] / np.sqrt(var + 1e-5)
    shift = state[f"{name}.bias"] - mean * scale
    return x * scale[:, None, None] + shift[:, None, None]


def conv(x: np.ndarray, state: State, name: str, train: bool) -> np.ndarray:
    """A convolution without bias, its norm, and what is above zero of it."""
    return np.maximum(normed(convolved(x, state[f"{name}.0.weight"]), state, f"{name}.1", train), 0)


def pooled(x: np.ndarray, cells: int) -> np.ndarray:
    """The means of cells * cells bins; bin i goes from floor(i n / cells) to ceil((i + 1) n / cells)."""
    sides = x.shape[2:]
    bounds = [[(i * n // cells, math.ceil((i + 1) * n / cells)) for i in range(cells)] for n in sides]
    rows = [[x[:, :, a:b, c:d].mean((2, 3)) for c, d in bounds[1]] for a, b in bounds[0]]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def resized(x: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Bilinear: pixel p of `new` looks at (p + 1/2) * old / new - 1/2, not beyond the first and the last."""
    for axis, new in zip((2, 3), size, strict=True):
        old = x.shape[axis]
        place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, None)
        low = np.minimum(place.astype(int), old - 1)
        high = np.minimum(low + 1, old - 1)
        shape = [1, 1, 1, 1]
        shape[axis] = new
        part = (place - low).reshape(shape)
        x = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return x


def doubled(x: np.ndarray, state: State, name: str) -> np.ndarray:
    """A deconvolution of 2x2 with stride 2: each cell becomes four, of their own weights."""
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]  # (C, O, 2, 2), (O,)
    n, _, h, w = x.shape
    cells = np.einsum("nchw,coij->nohiwj", x, weight)
    return cells.reshape(n, weight.shape[1], 2 * h, 2 * w) + bias[:, None, None]


def scaled(maps: Sequence[np.ndarray], state: State, train: bool) -> list[np.ndarray]:
    """BEiT's pyramid of four maps of one stride."""
    first = normed(doubled(maps[0], state, "scales.0.0"), state, "scales.0.1", train)
    erf = np.vectorize(math.erf)
    first = first * (1 + erf(first / math.sqrt(2))) / 2  # GELU
    n, c, h, w = maps[3].shape
    halved = maps[3][:, :, : h // 2 * 2, : w // 2 * 2].reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))
    return [
        doubled(first, state, "scales.0.3"),
        doubled(maps[1], state, "scales.1"),
        maps[2],
        halved,
    ]


def logits(
    maps: Sequence[np.ndarray], state: State, train: bool, flat: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The logits of the head and of the second head, without dropout."""
    maps = scaled(maps, state, train) if flat else list(maps)
    top = [maps[3]]
    for number, cells in enumerate((1, 2, 3, 6)):
        small = conv(pooled(maps[3], cells), state, f"pools.{number}", train)
        top.append(resized(small, maps[3].shape[2:]))
    merged = [conv(np.concatenate(top, 1), state, "top", train)]
    for level in (2, 1, 0):
        side = conv(maps[level], state, f"laterals.{level}", train)
        merged.insert(0, side + resized(merged[0], side.shape[2:]))
    found = [conv(merged[level], state, f"outputs.{level}", train) for level in (0, 1, 2)] + [merged[3]]
    size = found[0].shape[2:]
    fused = conv(np.concatenate([resized(one, size) for one in found], 1), state, "fusion", train)
    second = conv(maps[2], state, "auxiliary.0", train)
    return _classified(fused, state, "predictor"), _classified(second, state, "auxiliary.2")


def _classified(x: np.ndarray, state: State, name: str) -> np.ndarray:
    return convolved(x, state[f"{name}.weight"]) + state[f"{name}.bias"][:, None, None]


def loss(found: np.ndarray, classes: np.ndarray) -> float:
    """Cross-entropy of upsampled logits, over all pixels; one of class 255 counts with 0."""
    full = resized(found, classes.shape[1:])
    total = 0.0
    for n, i, j in np.ndindex(*classes.shape):
        if classes[n, i, j] != 255:
            odds = full[n, :, i, j] - full[n, :, i, j].max()
            total += math.log(np.exp(odds).sum()) - odds[classes[n, i, j]]
    return total / classes.size
