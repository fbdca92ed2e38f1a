"""Draws objects on textured backgrounds: the images of all synthetic data sets but Cityscapes.

Shape and texture make the class. Colours say nothing: the two of every object and of every background are
drawn at random by one law, so a network has to see edges and textures, which pre-training on real images
teaches. Each image is a function of its random generator alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from transfer.datasets.synthetic.person import Figure, draw_figure, dress
from transfer.datasets.synthetic.texture import Texture, fill, finish

OBJECTS = 3  # at most, in an image
SIZES = (0.25, 0.6)  # the longer side of an object over the shorter side of the image
OVERLAP = 0.08
BACKGROUND = Texture("clouds", 0.45)
_SUPERSAMPLE = 4


@dataclass(frozen=True)
class Look:
    """Says how a class is drawn: outline in the unit square, texture, height over width.

    texture: None for a "person", whose bands follow the body. scale: larger or smaller than other classes.
    weight: how often it comes, relative to the others.
    """

    shape: str
    texture: Texture | None
    aspect: float
    scale: float = 1.0
    weight: float = 1.0


@dataclass
class Drawn:
    """One drawn object: its class, the (H, W) bool mask of its visible pixels, and of a person the figure."""

    name: str
    mask: np.ndarray
    figure: Figure | None = None

    def box(self) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 in 0-based pixels, x1 and y1 exclusive."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def outline(shape: str, box: tuple[float, float, float, float], width: int, height: int) -> np.ndarray:
    """(H, W) uint8 coverage 0..255 of a shape that fills `box` (x0, y0, x1, y1), anti-aliased."""
    scale = _SUPERSAMPLE
    x0, y0, x1, y1 = (v * scale for v in box)
    canvas = Image.new("L", (width * scale, height * scale))
    draw = ImageDraw.Draw(canvas)

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x0 + u * (x1 - x0), y0 + v * (y1 - y0)) for u, v in points]

    if shape == "triangle":
        draw.polygon(at((0.5, 0), (1, 1), (0, 1)), fill=255)
    elif shape == "ring":
        draw.ellipse((x0, y0, x1, y1), fill=255)
        draw.ellipse([c for p in at((0.3, 0.3), (0.7, 0.7)) for c in p], fill=0)
    elif shape == "ellipse":
        draw.ellipse((x0, y0, x1, y1), fill=255)
    elif shape == "cross":
        draw.polygon(
            at(*[(a / 3, b / 3) for a, b in (
                (1, 0), (2, 0), (2, 1), (3, 1), (3, 2), (2, 2), (2, 3), (1, 3), (1, 2), (0, 2), (0, 1), (1, 1)
            )]),
            fill=255,
        )  # fmt: skip
    elif shape == "diamond":
        draw.polygon(at((0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)), fill=255)
    elif shape == "box":
        draw.rectangle((x0, y0, x1, y1), fill=255)
    else:
        raise ValueError(f"unknown shape {shape!r}")
    return np.asarray(canvas.resize((width, height), Image.Resampling.BOX))


def paint(rng: np.random.Generator, pixels: np.ndarray, coverage: np.ndarray, texture: Texture) -> None:
    """Blends an object of that texture, in colours of its own, into (H, W, 3) float pixels."""
    rows, columns = np.flatnonzero(coverage.any(1)), np.flatnonzero(coverage.any(0))
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    part = coverage[window]
    filled = fill(rng, texture, part.shape[1], part.shape[0], min(coverage.shape), part > 127)
    pixels[window] += (part / 255.0)[..., None] * (filled - pixels[window])


def scene(
    rng: np.random.Generator, looks: dict[str, Look], width: int, height: int
) -> tuple[Image.Image, list[Drawn]]:
    """Draws an RGB image of one to three objects; returns it and the objects.

    A place that would cover more than OVERLAP of the smaller of two boxes is drawn again; after 30 vain tries
    the object is left out, but there is always at least one.
    """
    brush = np.random.default_rng(rng.integers(2**63))  # where things are does not depend on how they look
    pixels = fill(brush, BACKGROUND, width, height, min(width, height))
    drawn: list[Drawn] = []
    boxes: list[tuple[float, float, float, float]] = []
    for _ in range(int(rng.integers(1, OBJECTS + 1))):
        name = _pick(rng, looks)
        look = looks[name]
        for _ in range(30):
            longer = min(rng.uniform(*SIZES) * look.scale, 0.95) * min(width, height)
            aspect = look.aspect * rng.uniform(0.85, 1.18)
            w, h = (longer / aspect, longer) if aspect > 1 else (longer, longer * aspect)
            x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
            box = (x, y, x + w, y + h)
            if all(_covered(box, other) <= OVERLAP for other in boxes):
                break
        else:
            continue
        figure = None
        if look.texture is None:
            figure = draw_figure(rng, box, width, height)
            mask = figure.part > 0
            dress(brush, figure, pixels)
        else:
            coverage = outline(look.shape, box, width, height)
            mask = coverage > 127
            paint(brush, pixels, coverage, look.texture)
        for other in drawn:
            other.mask &= ~mask  # the later object lies in front
        drawn.append(Drawn(name, mask, figure))
        boxes.append(box)
    return finish(brush, pixels), [d for d in drawn if d.mask.any()]


def _pick(rng: np.random.Generator, looks: dict[str, Look]) -> str:
    weights = np.array([look.weight for look in looks.values()])
    if (weights == 1).all():
        return list(looks)[int(rng.integers(len(looks)))]
    return list(looks)[int(rng.choice(len(looks), p=weights / weights.sum()))]


def _covered(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
