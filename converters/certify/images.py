"""Makes the images on which two functions are compared: the same on every machine, made of no file.

They are arrays (1, 3, H, W) in RGB, normalised already, so that pixel statistics are compared by themselves.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from converters.errors import CheckpointError

Size = tuple[int, int]
Maps = dict[str, np.ndarray]  # (C, H/s, W/s) by name: "block 11", "norm", "stage1", "res2"
NATIVE, DETECTION = 224, 1024  # pixels; the first where the file does not tell its own


def sizes(manifest: Mapping[str, Any], stated: Sequence[str] = ()) -> tuple[Size, ...]:
    """(height, width) of the images: the network's own, one that is not square, one as in detection.

    stated: "HEIGHTxWIDTH" of the user, in place of these. CheckpointError for one that is no multiple of the
    patch, or not of 32 where there is none: publishers' codes do different things then.
    """
    patch = manifest.get("patch_size", 32) if manifest.get("family") == "vit" else 32
    if stated:
        return tuple(_size(text, patch) for text in stated)
    places = manifest.get("pos_tokens", 0) - manifest.get("pos_prefix", 0)
    side = math.isqrt(places) if places > 0 else manifest.get("rel_pos_grid", 0)
    native = side * patch if side else _multiple(NATIVE, patch)
    wide = (_multiple(native * 3 // 4, patch), _multiple(native * 5 // 4, patch))
    return (native, native), wide, (_multiple(DETECTION, patch),) * 2


def _multiple(pixels: int, of: int) -> int:
    return pixels + -pixels % of


def _size(text: str, patch: int) -> Size:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    height, width = map(int, found.groups()) if found else (0, 0)
    if not height or not width or height % patch or width % patch:
        raise CheckpointError(
            f"--size {text}: expected HEIGHTxWIDTH, multiples of {patch} pixels, as {2 * patch}x{3 * patch}"
        )
    return height, width


def image(size: Size) -> np.ndarray:
    """Noise over smooth noise, float32 with mean 0 and deviation near 1; the stream of numbers is frozen."""
    random = np.random.RandomState(size[0] * 100_003 + size[1])
    coarse = random.standard_normal((3, 1 + size[0] // 16, 1 + size[1] // 16))
    smooth = np.kron(coarse, np.ones((1, 16, 16)))[:, : size[0], : size[1]]
    fine = random.standard_normal((3, *size))
    return np.asarray((0.8 * smooth + 0.6 * fine)[None], np.float32)


def digest(wanted: Sequence[Size]) -> str:
    """SHA-256 of the images: stored features of other images are not compared."""
    return hashlib.sha256(b"".join(image(size).tobytes() for size in wanted)).hexdigest()
