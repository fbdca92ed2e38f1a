"""Decodes image files to RGB; one that cannot be decoded is named, counted and replaced by its neighbour."""

from __future__ import annotations

import io
import math
import threading
import warnings

import numpy as np
import simplejpeg

from pretrain.errors import PretrainError, warn
from pretrain.images.sources import ImageSet

SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")  # Pillow's names of one unsigned 16-bit channel


def decode(data: bytes) -> np.ndarray:
    """Decodes an image to uint8 HxWx3 RGB. Raises OSError or ValueError where it is corrupt or no image.

    EXIF orientation is not applied, as in the published pipeline. 16-bit grey values are divided by 257, so
    that black and white stay what they are; 32-bit values have no known white and are refused.
    """
    if data[:2] == b"\xff\xd8":
        pixels = _decode_jpeg(data)
        if pixels is not None:
            return pixels
    from PIL import Image

    # A limit against decompression bombs stays in force: PIL's own, which raises for absurd sizes.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data)) as image:
                if image.mode in SIXTEEN_BITS or (image.mode == "I" and image.format in ("PNG", "PPM")):
                    return _grey(np.asarray(image))
                if image.mode in ("I", "F"):
                    raise ValueError(
                        f"pixels of mode {image.mode} have no known range; save it with 8 bits a channel"
                    )
                return np.asarray(image.convert("RGB"))
        # PIL reports some broken PNGs as SyntaxError.
        except (SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(str(error)) from None


def _grey(values: np.ndarray) -> np.ndarray:
    """Rounds 16-bit HxW, which Pillow may give as 32-bit integers, to uint8 HxWx3."""
    scaled = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.repeat(scaled[:, :, None], 3, axis=2)


def _decode_jpeg(data: bytes) -> np.ndarray | None:
    """Decodes by libjpeg-turbo without PIL's detours, a sixth faster; None leaves the file to PIL."""
    try:
        return simplejpeg.decode_jpeg(data)
    except ValueError:  # a JPEG that it does not take, such as CMYK
        return None


class Pixels:
    """Decoded images by number, cached as far as memory is allowed.

    A corrupt image i is replaced by the first of i + 1, i + 2, ... (cyclic) that can be decoded, which is the
    same one in every run and process.
    """

    def __init__(self, images: ImageSet, cache_bytes: int = 0, max_corrupt: float = 0.01) -> None:
        """A run stops where more than the share `max_corrupt` of the set is corrupt, and more than one image.

        With a share of 0 it stops at the first.
        """
        self.images = images
        self.corrupt: dict[int, str] = {}  # number -> reason
        self._allowed = max(1, math.ceil(max_corrupt * len(images))) if max_corrupt > 0 else 0
        self._cache: dict[int, np.ndarray] = {}
        self._room = cache_bytes
        self._lock = threading.Lock()

    def __getitem__(self, number: int) -> np.ndarray:
        """Gives uint8 HxWx3. Raises PretrainError once too many images are corrupt."""
        for step in range(len(self.images)):
            candidate = (number + step) % len(self.images)
            if candidate in self.corrupt:
                continue
            pixels = self._cache.get(candidate)
            if pixels is None:
                pixels = self._load(candidate)
            if pixels is not None:
                return pixels
        raise PretrainError("no image of the data set can be decoded")

    def _load(self, number: int) -> np.ndarray | None:
        image = self.images.images[number]
        try:
            pixels = decode(image.read())
        except (OSError, ValueError) as error:
            self._report(number, str(error) or type(error).__name__)
            return None
        with self._lock:
            if pixels.nbytes <= self._room and number not in self._cache:
                self._room -= pixels.nbytes
                self._cache[number] = pixels
        return pixels

    def _report(self, number: int, reason: str) -> None:
        with self._lock:
            self.corrupt[number] = " ".join(reason.split())
            if len(self.corrupt) > self._allowed:
                first = sorted(self.corrupt)[:3]
                named = ", ".join(f"{self.images.images[i].name} ({self.corrupt[i]})" for i in first)
                raise PretrainError(
                    f"{len(self.corrupt)} of {len(self.images)} images cannot be decoded, more than the "
                    f"{self._allowed} allowed: {named}{', ...' * (len(self.corrupt) > 3)}; repair them or "
                    "raise --max-corrupt"
                )

    def corrupt_names(self) -> dict[str, str]:
        """Name and reason of every corrupt image met so far, in the order of the data set."""
        return {self.images.images[number].name: self.corrupt[number] for number in sorted(self.corrupt)}

    def warn_of_corrupt(self) -> None:
        """Prints a line for every corrupt image met so far."""
        for name, reason in self.corrupt_names().items():
            warn(f"corrupt image replaced: {name} ({reason})")
