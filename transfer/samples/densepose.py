"""Turns DensePose annotations into training targets, and those into their mirror image.

Points and part masks live in a 256 x 256 frame of the person's box, so resizing leaves them alone. A mirror
swaps left and right parts, and each surface patch has its own table of where a point (u, v) goes: the file
UV_symmetry_transforms.mat of the DensePose authors. Equals the mapper of Detectron2's DensePose project.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transfer.datasets.coco.densepose import FRAME, PATCHES, POINT_KEYS, URL
from transfer.errors import DataError

FILE = "UV_symmetry_transforms.mat"
# fmt: off
# The mirrored number of each surface patch and of each coarse mask, 0 being the background.
PATCH_MIRROR = (0, 1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 18, 17, 20, 19, 22, 21, 24, 23)
MASK_MIRROR = (0, 1, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 14)
# fmt: on


@dataclass(frozen=True)
class Symmetry:
    """(24, 256, 256) float32 each: the mirrored u and v of patch, row 255 v, column 255 u."""

    u: Tensor
    v: Tensor


def densepose_targets(
    annotations: Sequence[dict[str, Any]], symmetry: Symmetry | None
) -> list[dict[str, Tensor] | None]:
    """One entry an annotation, None where nothing is labelled; mirrored if a `symmetry` is given.

    x, y: (P,) float32 in the frame of the box, 0..256. part: (P,) int64, 1..24. u, v: (P,) float32 in [0, 1].
    coarse: (256, 256) uint8, 0..14.
    """
    targets = [_target(a) if a.get(POINT_KEYS[0]) else None for a in annotations]
    return targets if symmetry is None else [None if t is None else _mirrored(t, symmetry) for t in targets]


def load_symmetry(data_root: str | Path) -> Symmetry:
    """The tables in `<data_root>/densepose`; DataError says which file is needed and where to get it."""
    return _load(Path(data_root) / "densepose" / FILE)


@lru_cache(maxsize=1)  # 12 MB that every sample needs
def _load(path: Path) -> Symmetry:
    from scipy.io import loadmat

    if not path.is_file():
        raise DataError(
            f"flipping DensePose images needs {path}, which is missing; download {URL}{FILE} to it, or train "
            "without flips (INPUT.RANDOM_FLIP none)"
        )
    try:
        tables = loadmat(path)
        u, v = (np.stack(list(tables[f"{name}_transforms"][0])).astype(np.float32) for name in "UV")
        if u.shape != (PATCHES, FRAME, FRAME) or v.shape != u.shape:
            raise ValueError(f"tables of shape {u.shape} and {v.shape}")
        if not (np.isfinite(u).all() and np.isfinite(v).all()):
            raise ValueError("NaN or infinite values")
    except Exception as error:  # scipy and zlib have kinds of their own
        raise DataError(
            f"{path}: cannot be read ({error}); expected U_transforms and V_transforms of {PATCHES} tables "
            f"of {FRAME}x{FRAME}; download {URL}{FILE} again"
        ) from None
    return Symmetry(torch.from_numpy(u), torch.from_numpy(v))


def _target(annotation: dict[str, Any]) -> dict[str, Tensor]:
    x, y, part, u, v = (torch.tensor(annotation[key], dtype=torch.float32) for key in POINT_KEYS)
    coarse = torch.from_numpy(_coarse(annotation["dp_masks"]))
    return {"x": x, "y": y, "part": part.long(), "u": u, "v": v, "coarse": coarse}


def _coarse(masks: Sequence[Any]) -> np.ndarray:
    """(256, 256) uint8: the number of the last of the 14 masks that covers a pixel."""
    from pycocotools import mask as rle

    out = np.zeros((FRAME, FRAME), np.uint8)
    for number, mask in enumerate(masks, 1):
        if mask:
            out[rle.decode(mask) > 0] = number
    return out


def _mirrored(target: dict[str, Tensor], symmetry: Symmetry) -> dict[str, Tensor]:
    part = target["part"]
    at = part - 1, (target["v"] * 255).long(), (target["u"] * 255).long()
    return {
        "x": FRAME - target["x"],
        "y": target["y"],
        "part": torch.tensor(PATCH_MIRROR)[part],
        "u": symmetry.u[at],
        "v": symmetry.v[at],
        "coarse": torch.tensor(MASK_MIRROR, dtype=torch.uint8)[target["coarse"].flip(1).long()],
    }
