"""Reads Penn-Fudan: street images, an instance map each."""

from __future__ import annotations

from pathlib import Path

from benchmarks.studies.data.picture import Picture, Thing, opened, size_of
from benchmarks.studies.data.splits import draw

TEST = 50


def read_penn_fudan(source: Path) -> dict[str, list[Picture]]:
    """170 images: 50 for the test, by groups of near duplicates, the others for training."""
    root = source / "PennFudan" / "data" / "PennFudanPed"
    pictures = [_picture(path) for path in sorted((root / "PNGImages").glob("*.png"))]
    train, test = draw(pictures, TEST, "penn_fudan")
    return {"train": train, "test": test}


def _picture(path: Path) -> Picture:
    import numpy as np
    from PIL import Image

    instances = path.parents[1] / "PedMasks" / f"{path.stem}_mask.png"
    with Image.open(instances) as image:
        values = np.unique(np.asarray(image)).tolist()
    things = [Thing(1, value=value) for value in values if value]
    return Picture(path.stem, opened(path), size_of(path), things, instances)
