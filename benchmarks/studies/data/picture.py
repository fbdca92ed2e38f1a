"""Defines a picture of a set on its way from a public layout to a suite's: its pixels and its objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Thing:
    """An object: its class, counted from 1, and its box x, y, width, height in pixels of the source.

    value: its number in the picture's instance map, 0 without one; the box is then that of the map.
    """

    category: int
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    crowd: bool = False
    value: int = 0


@dataclass(frozen=True)
class Picture:
    """An image under the name that it will have, without its ending.

    load: opens the pixels, RGB. size: width and height of what `load` gives. instances: the file of its
    instance map, of that size.
    """

    name: str
    load: Callable[[], Image]
    size: tuple[int, int]
    things: list[Thing] = field(default_factory=list)
    instances: Path | None = None


def opened(path: Path) -> Callable[[], Image]:
    """A loader of an image file."""

    def load() -> Image:
        from PIL import Image

        with Image.open(path) as image:
            return image.convert("RGB")

    return load


def size_of(path: Path) -> tuple[int, int]:
    """Width and height by the file's header."""
    from PIL import Image

    with Image.open(path) as image:
        return image.size


def shrunk(size: tuple[int, int], long_side: int) -> tuple[int, int]:
    """The size whose longer side is at most `long_side`, at least one pixel each; nothing is enlarged."""
    ratio = min(1.0, long_side / max(size))
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))
