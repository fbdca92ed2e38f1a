"""Makes what a network sees of an image: a central square, a corrupted one, or the whole image."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from transfer.datasets.corruptions.corrupt import VERSION, corrupt

if TYPE_CHECKING:
    from PIL.Image import Image


class Seen(Protocol):
    """Says what is seen of an image, and all that moves a pixel of it."""

    def facts(self) -> dict[str, Any]:
        """JSON types, for the identity of features."""

    def seen(self, image: Image, image_id: str) -> np.ndarray:
        """(height, width, 3) uint8 RGB."""


@dataclass(frozen=True)
class View:
    """The test view of published evaluations, in pixels: shorter side resized, central square cut.

    resize: of the shorter side; 0 resizes the whole image to the square. crop: side of that square.
    """

    resize: int = 256
    crop: int = 224
    interpolation: str = "bicubic"

    def facts(self) -> dict[str, Any]:
        """Says all that moves a pixel, for the identity of features; Pillow's filters are its own."""
        return {**asdict(self), "antialias": True, "by": _pillow()}

    def seen(self, image: Image, image_id: str) -> np.ndarray:
        """As the call; the id moves nothing."""
        return self(image)

    def __call__(self, image: Image) -> np.ndarray:
        """(crop, crop, 3) uint8 RGB: the pixels of torchvision's `Resize` and `CenterCrop` on Pillow images.

        An image smaller than the square after resizing is black beyond its edges.
        """
        from PIL.Image import Resampling

        width, height = self._resized(image.size)
        # Resizing only what the square shows would round in another order: Pillow chooses it by size.
        pixels = np.asarray(image.resize((width, height), Resampling[self.interpolation.upper()]))
        if min(width, height) < self.crop:
            pixels = _padded(pixels, self.crop)
            height, width = pixels.shape[:2]
        left, top = round((width - self.crop) / 2.0), round((height - self.crop) / 2.0)
        return pixels[top : top + self.crop, left : left + self.crop]

    def _resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height behind the resize; torchvision rounds the longer side down."""
        if not self.resize:
            return self.crop, self.crop
        width, height = size
        longer = int(self.resize * max(size) / min(size))
        return (longer, self.resize) if width > height else (self.resize, longer)


def _padded(pixels: np.ndarray, side: int) -> np.ndarray:
    """The image in a black one of at least `side` each way, as torchvision's `CenterCrop` pads."""
    missing = [max(side - n, 0) for n in pixels.shape[:2]]
    return np.pad(pixels, [*((n // 2, n - n // 2) for n in missing), (0, 0)])


def _pillow() -> str:
    from PIL import __version__

    return f"Pillow {__version__}"


@dataclass(frozen=True)
class Corrupted:
    """A view behind one of the fifteen corruptions, of which the image's id seeds the draws."""

    view: View
    name: str
    severity: int

    def facts(self) -> dict[str, Any]:
        """Those of the view and of the corruption."""
        return {**self.view.facts(), "corruption": [self.name, self.severity, VERSION]}

    def seen(self, image: Image, image_id: str) -> np.ndarray:
        """(crop, crop, 3) uint8 RGB."""
        from PIL import Image as Pillow

        clean = Pillow.fromarray(np.ascontiguousarray(self.view(image)))
        return np.asarray(corrupt(clean, self.name, self.severity, image_id))


@dataclass(frozen=True)
class Whole:
    """The whole image, its shorter side resized to `side`; at 0 as it is."""

    side: int = 0
    interpolation: str = "bicubic"

    def facts(self) -> dict[str, Any]:
        """Says all that moves a pixel."""
        return {"whole": asdict(self), "by": _pillow()}

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of what is seen of an image of that size."""
        share = self.side / min(width, height) if self.side else 1.0
        return max(round(width * share), 1), max(round(height * share), 1)

    def seen(self, image: Image, image_id: str) -> np.ndarray:
        """(height, width, 3) uint8 RGB; sizes differ from image to image."""
        from PIL.Image import Resampling

        size = self.size(*image.size)
        if size != image.size:
            image = image.resize(size, Resampling[self.interpolation.upper()])
        return np.array(image)


@dataclass(frozen=True)
class AtMost:
    """The image, or the box of it that its id has, shrunk to a longer side of at most `side`, times `scale`.

    The rule of the toolbox of Revisited Oxford and Paris, which makes nothing larger. It scales a second time
    what it has resized; here both are one step of Pillow's Lanczos filter.
    """

    side: int
    scale: float = 1.0
    boxes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # x0 y0 x1 y1 by id

    def facts(self) -> dict[str, Any]:
        """Says all that moves a pixel; the boxes by their hash."""
        boxes = hashlib.sha256(repr(sorted(self.boxes.items())).encode()).hexdigest() if self.boxes else ""
        return {"at_most": self.side, "scale": self.scale, "boxes": boxes, "by": _pillow()}

    def seen(self, image: Image, image_id: str) -> np.ndarray:
        """(height, width, 3) uint8 RGB; sizes differ from image to image."""
        from PIL.Image import Resampling

        if image_id in self.boxes:
            x0, y0, x1, y1 = map(round, self.boxes[image_id])
            image = image.crop((x0, y0, x1, y1))
        share = min(self.side / max(image.size), 1.0) if self.side else 1.0
        width, height = (max(round(side * share * self.scale), 1) for side in image.size)
        if (width, height) != image.size:
            image = image.resize((width, height), Resampling.LANCZOS)
        return np.array(image)
