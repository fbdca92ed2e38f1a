"""Generates a body surface for DensePose: 24 patches of 20 vertices, their geodesic distances, their mirror.

It stands in for the published files under the data root: `densepose/geodesics.npz` for the three of SMPL, and
`densepose/UV_symmetry_transforms.mat` under its own name and in its own layout.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from transfer.datasets.coco.densepose import PATCHES

GRID = (5, 4)
# Patches that touch: torso, head, arms, hands, legs, feet.
# fmt: off
_LINKS = (
    (1, 2), (2, 23), (2, 24), (23, 24), (2, 17), (2, 18), (1, 15), (1, 16), (15, 17), (16, 18), (17, 21),
    (18, 22), (15, 19), (16, 20), (19, 21), (20, 22), (21, 4), (22, 3), (2, 9), (2, 10), (1, 7), (1, 8),
    (7, 9), (8, 10), (9, 13), (10, 14), (7, 11), (8, 12), (11, 13), (12, 14), (13, 6), (14, 5),
)
# fmt: on
_STEP = 0.06  # metres between neighbours, so that a patch is about 0.25 m long


def make_mesh() -> dict[str, np.ndarray]:
    """Returns u, v, part: (n,) per vertex; vertex: (n,) its number from 1; distances: float32, in metres.

    Distances are the lower triangle of the (n, n) matrix, row by row.
    """
    us, vs = np.linspace(0, 1, GRID[0]), np.linspace(0, 1, GRID[1])
    per_patch = len(us) * len(vs)
    n = PATCHES * per_patch
    u = np.tile(np.repeat(us, len(vs)), PATCHES)
    v = np.tile(np.tile(vs, len(us)), PATCHES)
    part = np.repeat(np.arange(1, PATCHES + 1), per_patch)
    distance = np.full((n, n), np.inf)
    np.fill_diagonal(distance, 0)
    position = np.stack([u * (GRID[0] - 1), v * (GRID[1] - 1)], 1) * _STEP
    same = part[:, None] == part[None]
    flat = np.hypot(*(position[:, None] - position[None]).transpose(2, 0, 1))
    distance[same] = flat[same]
    for a, b in _LINKS:  # the end of one patch touches the beginning of the other
        end, start = (a - 1) * per_patch + per_patch - 1, (b - 1) * per_patch
        distance[end, start] = distance[start, end] = _STEP
    for k in range(n):  # all shortest paths
        np.minimum(distance, distance[:, k : k + 1] + distance[k : k + 1], out=distance)
    rows, columns = np.tril_indices(n, -1)
    return {
        "u": u,
        "v": v,
        "part": part,
        "vertex": np.arange(1, n + 1),
        "distances": distance[rows, columns].astype(np.float32),
    }


def make_symmetry() -> dict[str, np.ndarray]:
    """U_transforms, V_transforms: (1, 24) objects, tables (256, 256) indexed by row 255 v and column 255 u.

    On `person`'s figures U runs along a limb and V across it: a mirror leaves U and reverses V.
    """
    ramp = np.arange(256, dtype=np.float32) / 255
    tables = {"U_transforms": np.tile(ramp, (256, 1)), "V_transforms": np.tile(1 - ramp[:, None], (1, 256))}
    out = {}
    for name, table in tables.items():
        out[name] = np.empty((1, PATCHES), object)
        out[name][0, :] = [table] * PATCHES
    return out


def write_mesh_folder(folder: Path) -> None:
    """Writes geodesics.npz and UV_symmetry_transforms.mat into `folder`."""
    from scipy.io import savemat

    folder.mkdir(parents=True)
    np.savez_compressed(folder / "geodesics.npz", **make_mesh())  # type: ignore[arg-type]
    buffer = io.BytesIO()
    savemat(buffer, make_symmetry(), do_compression=True)
    header = b"MATLAB 5.0 MAT-file, synthetic".ljust(116)  # scipy writes the time of day there
    (folder / "UV_symmetry_transforms.mat").write_bytes(header + buffer.getvalue()[116:])
