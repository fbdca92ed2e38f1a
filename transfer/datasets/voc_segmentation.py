"""Reads VOC 2012 segmentation: images, and masks whose palette indices are the 20 classes and background."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from transfer.datasets.base import Dataset, Spec
from transfer.datasets.files import listing, need, read_split
from transfer.datasets.findings import Findings
from transfer.datasets.mask_images import IGNORE, read_mask
from transfer.datasets.pairs import Pair, dataset_of_pairs
from transfer.datasets.voc import CLASSES
from transfer.errors import DataError

VOC_CLASSES = ("background", *CLASSES)
SPLITS = ("train", "val", "trainval", "train_aug")


def read_indices(path: str | os.PathLike[str]) -> np.ndarray:
    """(H, W) uint8 of a mask whose numbers are classes, 255 where nothing is judged.

    DataError if the file is no image of one channel, or holds a larger number.
    """
    pixels = read_mask(path)
    if pixels.max(initial=0) > IGNORE:
        raise DataError(f"{path}: value {pixels.max()}; expected class indices 0..255")
    return pixels.astype(np.uint8)


def voc_palette() -> list[int]:
    """VOC's colours: the bits of the index spread over red, green and blue, most significant first."""
    colours = []
    for index in range(256):
        rgb = [0, 0, 0]
        for bit in range(8):
            rgb[bit % 3] |= (index >> bit & 1) << (7 - bit // 3)
        colours += rgb
    return colours


def _layout(split: str) -> tuple[str, ...]:
    masks = "SegmentationClass/*.png" + (" and SegmentationClassAug/*.png" if split == "train_aug" else "")
    kit = "VOC2012"
    return (f"{kit}/ImageSets/Segmentation/{split}.txt", f"{kit}/{masks}", f"{kit}/JPEGImages/*.jpg")


def read_voc_segmentation(name: str, root: Path, findings: Findings) -> Dataset[None]:
    """Reads `voc_2012_sem_seg_<split>`; train_aug takes SegmentationClassAug where it has the mask."""
    split = name.removeprefix("voc_2012_sem_seg_")
    kit, layout = root / "VOC2012", _layout(split)
    images = need(kit / "JPEGImages", name, root, layout)
    folders = [need(kit / "SegmentationClass", name, root, layout)]
    if split == "train_aug":
        # The usual list of 10,582 takes SBD's annotations also of the images that both have.
        folders.insert(0, need(kit / "SegmentationClassAug", name, root, layout))
    path = kit / "ImageSets" / "Segmentation" / f"{split}.txt"
    if split == "train_aug" and not path.exists() and path.with_name("trainaug.txt").exists():
        path = path.with_name("trainaug.txt")  # the name that most copies of the list have
    need(path, name, root, layout)
    present, masks = listing(images), [(f, listing(f)) for f in folders]
    pairs: list[Pair] = []
    for image_id in _ids(path, findings):
        if f"{image_id}.jpg" not in present:
            findings.error(
                "missing-image", path.name, image_id, "image", f"JPEGImages/{image_id}.jpg", "no such file"
            )
        mask = next((f for f, files in masks if f"{image_id}.png" in files), None)
        if mask is None:
            value = f"{folders[-1].name}/{image_id}.png"
            findings.error("missing-mask", path.name, image_id, "mask", value, "no such file")
        elif f"{image_id}.jpg" in present:
            pairs.append((image_id, str(images / f"{image_id}.jpg"), str(mask / f"{image_id}.png")))
    metadata = {
        "evaluator": "voc_sem_seg",
        "stuff_classes": list(VOC_CLASSES),
        "sem_seg_encoding": "index",
        "split": split,
        "data_root": str(root),
    }
    return dataset_of_pairs(name, pairs, read_indices, metadata, findings)


def _ids(path: Path, findings: Findings) -> list[str]:
    """Ids of a list; DeepLab's form, two paths a line, is taken as well."""
    first = path.read_text(encoding="utf-8-sig", errors="replace").split("\n", 1)[0].split()
    if len(first) == 2 and first[0].endswith(".jpg"):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        return list(
            dict.fromkeys(os.path.splitext(os.path.basename(w.split()[0]))[0] for w in lines if w.split())
        )
    return read_split(path, findings)


_TRAINING_IMAGES = {"train_aug": 10582}
SPECS = [
    Spec(f"voc_2012_sem_seg_{split}", read_voc_segmentation, _layout(split), _TRAINING_IMAGES.get(split))
    for split in SPLITS
]
