"""Reads geodesic distances on the body surface: from the published SMPL files, or from a generated mesh.

They lie under the data root, in `densepose/`: `geodesics.npz` (see `datasets/synthetic/mesh.py`), or the
published SMPL_subdiv.mat, SMPL_SUBDIV_TRANSFORM.mat and Pdist_matrix.pkl. The distances are the lower
triangle of a symmetric matrix, row by row: 27,554 vertices make 380 million of them, 1.5 GB.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.coco.densepose import URL
from transfer.errors import DataError

PUBLISHED = ("SMPL_subdiv.mat", "SMPL_SUBDIV_TRANSFORM.mat", "Pdist_matrix.pkl")


@dataclass
class Surface:
    """Sampled points of the body surface, and the distances between the vertices of its mesh.

    uv: (2, n). patch: (n,) 1..24. vertex: (n,) number of its vertex, from 1. distances: in metres, the lower
        triangle row by row.
    """

    uv: np.ndarray
    patch: np.ndarray
    vertex: np.ndarray
    distances: np.ndarray

    def nearest(self, patch: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """(P,) index of the surface point nearest in UV on the same patch, -1 for patch 0 (background)."""
        out = np.full(len(patch), -1)
        for number in np.unique(patch[patch > 0]).astype(int):
            mine, at = np.flatnonzero(self.patch == number), np.flatnonzero(patch == number)
            gap = (self.uv[0, mine][:, None] - u[at]) ** 2 + (self.uv[1, mine][:, None] - v[at]) ** 2
            out[at] = mine[gap.argmin(0)]
        return out

    def between(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(P,) geodesic distance of surface points a and b; infinite where b is -1."""
        out = np.full(len(a), np.inf)
        there = b >= 0
        p, q = self.vertex[a[there]] - 1, self.vertex[b[there]] - 1
        high, low = np.maximum(p, q).astype(np.int64), np.minimum(p, q).astype(np.int64)
        same = high == low
        index = np.where(same, 0, high * (high - 1) // 2 + low)
        out[there] = np.where(same, 0.0, self.distances[index])
        return out


def load_surface(data_root: Path) -> Surface:
    """Reads what lies under `<data_root>/densepose`; DataError says what is needed and where to get it."""
    folder = Path(data_root) / "densepose"
    generated = folder / "geodesics.npz"
    if generated.is_file():
        with np.load(generated, allow_pickle=False) as data:
            return Surface(np.stack([data["u"], data["v"]]), data["part"], data["vertex"], data["distances"])
    missing = [name for name in PUBLISHED if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"the DensePose metric needs geodesic distances; {', '.join(missing)} missing in {folder}; "
            f"download them from {URL} (Pdist_matrix.pkl takes 1.5 GB of memory)"
        )
    return _load_published(folder)


def _load_published(folder: Path) -> Surface:
    from scipy.io import loadmat

    points = loadmat(folder / PUBLISHED[0])
    vertex = loadmat(folder / PUBLISHED[1])["index"].squeeze()
    with open(folder / PUBLISHED[2], "rb") as f:
        distances = _ArraysOnly(f, encoding="latin1").load()["Pdist_matrix"]
    uv = np.array([points["U_subdiv"].squeeze(), points["V_subdiv"].squeeze()])
    return Surface(
        uv, points["Part_ID_subdiv"].squeeze().astype(int), vertex.astype(int), distances.reshape(-1)
    )


class _ArraysOnly(pickle.Unpickler):
    """Reads numpy arrays and plain containers; a pickle can name any function, so all others are refused."""

    _ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise DataError(
                f"{PUBLISHED[2]}: asks for {module}.{name}; expected numpy arrays only, so it is not read"
            )
        return super().find_class(module, name)
