"""Generates data sets in exactly the layout of the real ones, to try the whole path without a download.

Everything is a function of (seed, folder, split, index). A data set is generated into a temporary folder
that is renamed at the end, so it is there whole or not at all; a marker inside holds the parameters.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transfer.datasets.registry import describe_layout
from transfer.datasets.synthetic.ade20k import write_ade20k_folder
from transfer.datasets.synthetic.cityscapes import write_cityscapes_folder
from transfer.datasets.synthetic.coco import write_coco_folder
from transfer.datasets.synthetic.lvis import write_lvis_folder
from transfer.datasets.synthetic.mesh import write_mesh_folder
from transfer.datasets.synthetic.voc import write_voc_kit
from transfer.errors import DataError

MARKER = "synthetic.json"
VERSION = 3  # raise it whenever the same parameters would give other files


@dataclass(frozen=True)
class Size:
    """How large a generated data set is: images in training and test splits, longer image side in pixels."""

    train_images: int
    test_images: int
    image_size: int
    seed: int


# folder under the data root -> what writes it
WRITERS: dict[str, Callable[[Path, Size], None]] = {
    "VOC2007": lambda folder, size: write_voc_kit(folder, 2007, **asdict(size)),
    "VOC2012": lambda folder, size: write_voc_kit(folder, 2012, **asdict(size)),
    "coco": lambda folder, size: write_coco_folder(folder, **asdict(size)),
    "lvis": lambda folder, size: write_lvis_folder(folder, **asdict(size)),
    "cityscapes": lambda folder, size: write_cityscapes_folder(folder, **asdict(size)),
    "ADEChallengeData2016": lambda folder, size: write_ade20k_folder(folder, **asdict(size)),
    "densepose": lambda folder, _: write_mesh_folder(folder),
}


def make_synthetic(
    names: Iterable[str],
    root: Path,
    *,
    train_images: int = 200,
    test_images: int = 80,
    image_size: int = 128,
    seed: int | None = None,
) -> None:
    """Writes the folders that hold the data sets `names` under `root`.

    `trainval` and `train2017`-like splits get train_images, `test` and `val2017`-like splits test_images.
    Calling again with the same parameters reuses what is there; DataError for other parameters or a folder
    that was not generated. Without a `seed` sets of any seed are reused, and new ones are made with 0.
    """
    if train_images < 2 or test_images < 1 or image_size < 32:
        got = f"{train_images} training images, {test_images} test images, size {image_size}"
        raise DataError(f"synthetic data: {got}; expected at least 2, 1 and 32 pixels")
    size = Size(train_images, test_images, image_size, seed or 0)
    root = Path(root).expanduser().absolute()
    root.mkdir(parents=True, exist_ok=True)
    wanted = dict.fromkeys(folder for name in names for folder in _folders(name))
    for folder in wanted:
        _make(root / folder, size, WRITERS[folder], any_seed=seed is None)


def _folders(name: str) -> list[str]:
    """The folders under the data root that a data set is read from (refuses unknown names)."""
    folders = [line.split("/")[0] for line in describe_layout(name).splitlines()]
    return [*folders, "densepose"] if name.startswith("densepose") else folders


def _make(folder: Path, size: Size, write: Callable[[Path, Size], None], any_seed: bool) -> None:
    wanted: dict[str, Any] = {"version": VERSION, **asdict(size)}
    if folder.exists():
        marker = folder / MARKER
        if not marker.is_file():
            raise DataError(
                f"{folder} exists and was not generated; choose another --data-root for synthetic data"
            )
        there = json.loads(marker.read_text())
        if there != (wanted | {"seed": there.get("seed")} if any_seed else wanted):
            raise DataError(
                f"{folder} was generated with {there}, wanted {wanted}; delete it or choose another root"
            )
        return
    part = folder.with_name(f".{folder.name}.part-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        write(part, size)
        (part / MARKER).write_text(json.dumps(wanted))
        try:
            os.rename(part, folder)
        except OSError:
            if not (folder / MARKER).is_file():  # else another process was first with the same thing
                raise
            _make(folder, size, write, any_seed)
    finally:
        shutil.rmtree(part, ignore_errors=True)
