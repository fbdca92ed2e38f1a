"""Writes class maps of pictures as a suite takes them: one PNG a picture, and a list of names a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.studies.data.coco_file import Form
from benchmarks.studies.data.picture import Picture, shrunk

if TYPE_CHECKING:
    from PIL.Image import Image

GROUND = "ground"  # class 0: whatever is no object


def write_maps(splits: Mapping[str, Sequence[Picture]], form: Form, folder: Path) -> None:
    """Writes `maps/<name>.png`, of the size of the images, and `<split>.txt`; the pictures have instances.

    A pixel holds the category of its object, and 0 where there is none.
    """
    (folder / "maps").mkdir()
    for picture in {p.name: p for pictures in splits.values() for p in pictures}.values():
        _map(picture, form).save(folder / "maps" / f"{picture.name}.png")
    for split, pictures in splits.items():
        names = "".join(f"{picture.name}\n" for picture in pictures)
        (folder / f"{split}.txt").write_text(names, encoding="utf-8")


def _map(picture: Picture, form: Form) -> Image:
    from PIL.Image import Resampling, fromarray
    from PIL.Image import open as open_image

    assert picture.instances is not None
    categories = np.zeros(256, np.uint8)
    for thing in picture.things:
        categories[thing.value] = thing.category
    with open_image(picture.instances) as image:
        small = image.resize(shrunk(picture.size, form.long_side), Resampling.NEAREST)
        return fromarray(categories[np.asarray(small)])
