"""Class maps of semantic segmentation: reading them rightly, and the VOC 2012 segmentation splits.

A VOC mask is a palette image whose *indices* are the classes; opened as grey it gives luminances, and a
network trains on those without any error. A Cityscapes mask holds label ids, which are not the 19 training
classes. `read_class_map` is the one way to open either: (H, W) uint8 with classes from 0 and 255 where
nothing is judged.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset, Spec
from transfer.datasets.cityscapes.labels import TRAIN_ID_OF
from transfer.datasets.cityscapes.polygons import draw_polygons
from transfer.datasets.files import listing, need
from transfer.datasets.findings import Findings
from transfer.datasets.images import check_images, image_columns, image_size
from transfer.datasets.records import Column, LazyRecords
from transfer.datasets.voc import CLASSES
from transfer.errors import DataError

IGNORE = 255
VOC_CLASSES = ["background", *CLASSES]
VOC_SPLITS = ("train", "val", "trainval", "train_aug")


def read_class_map(path: str | os.PathLike[str], encoding: str = "index") -> np.ndarray:
    """(H, W) uint8 of a mask file; encoding "index" (VOC) or "cityscapes_ids" (mapped to the 19 classes; the
    file may be the polygons instead of the PNG).

    DataError if the file is no one-channel image, or holds ids that Cityscapes does not have.
    """
    from PIL import Image

    if encoding == "cityscapes_ids" and str(path).endswith(".json"):
        return TRAIN_ID_OF[draw_polygons(str(path), numbered=False)]
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L", "I", "I;16", "1"):
                raise DataError(f"{path}: mode {image.mode}; expected a one-channel mask (palette or grey)")
            pixels = np.array(image)  # the indices, also of a palette image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        if isinstance(e, DataError):
            raise
        raise DataError(f"{path}: cannot be read as a mask ({e})") from None
    if encoding == "cityscapes_ids":
        if pixels.max(initial=0) >= len(TRAIN_ID_OF):
            raise DataError(
                f"{path}: label id {pixels.max()}; expected 0..{len(TRAIN_ID_OF) - 1}, are these train ids?"
            )
        return TRAIN_ID_OF[pixels]
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


def read_voc_segmentation(name: str, root: Path, findings: Findings) -> Dataset:
    """Reads `voc_2012_sem_seg_<split>`; train_aug takes SegmentationClassAug where it has the mask."""
    split = name.removeprefix("voc_2012_sem_seg_")
    kit, layout = root / "VOC2012", _layout(split)
    images = need(kit / "JPEGImages", name, root, layout)
    folders = [need(kit / "SegmentationClass", name, root, layout)]
    if split == "train_aug":
        # The extra annotations (SBD) also differ from VOC's on common images; the usual 10,582 list uses
        # them.
        folders.insert(0, need(kit / "SegmentationClassAug", name, root, layout))
    path = kit / "ImageSets" / "Segmentation" / f"{split}.txt"
    if split == "train_aug" and not path.exists() and path.with_name("trainaug.txt").exists():
        path = path.with_name("trainaug.txt")  # the name that most copies of the list have
    need(path, name, root, layout)
    present, masks = listing(images), [(f, listing(f)) for f in folders]
    pairs: list[tuple[str, str, str]] = []  # id, image, mask
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
    return _semantic_dataset(name, root, pairs, VOC_CLASSES, "index", "voc_sem_seg", split, findings)


def _ids(path: Path, findings: Findings) -> list[str]:
    """Ids of a list; DeepLab's form, two paths a line, is taken as well."""
    from transfer.datasets.files import read_split

    first = path.read_text(encoding="utf-8-sig", errors="replace").split("\n", 1)[0].split()
    if len(first) == 2 and first[0].endswith(".jpg"):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        return list(
            dict.fromkeys(os.path.splitext(os.path.basename(w.split()[0]))[0] for w in lines if w.split())
        )
    return read_split(path, findings)


def _semantic_dataset(
    name: str,
    root: Path,
    pairs: Sequence[tuple[str, str, str]],
    classes: list[str],
    encoding: str,
    evaluator: str,
    split: str,
    findings: Findings,
) -> Dataset:
    """Records with sem_seg_file_name; sizes come from the headers, read when a record is asked for."""
    digest = hashlib.sha256()
    for image_id, image, mask in pairs:
        digest.update(f"\n{image_id} {os.path.basename(image)}\n".encode())
        digest.update(Path(mask).read_bytes())

    make = partial(_record, pairs)
    records = LazyRecords(len(pairs), make, partial(_columns, pairs))
    if findings.deep:
        check_masks(pairs, len(classes), encoding, findings)
        check_images([make(i) for i in range(len(pairs)) if _opens(pairs[i][1], findings)], findings)
    metadata = {
        "evaluator": evaluator,
        "tasks": ["sem_seg"],
        "stuff_classes": classes,
        "ignore_label": IGNORE,
        "sem_seg_encoding": encoding,
        "split": split,
        "data_root": str(root),
    }
    summary = {
        "images": len(pairs),
        "objects": 0,
        "sha256": digest.hexdigest(),
        "odd": dict(findings.odd),
    }
    return Dataset(name, records, metadata, summary)


def _record(pairs: Sequence[tuple[str, str, str]], i: int) -> dict[str, Any]:
    image_id, image, mask = pairs[i]
    width, height = image_size(image)
    return {
        "file_name": image,
        "sem_seg_file_name": mask,
        "image_id": image_id,
        "height": height,
        "width": width,
        "annotations": [],
    }


def _columns(pairs: Sequence[tuple[str, str, str]], name: str) -> dict[str, Column]:
    return image_columns([image_id for image_id, _, _ in pairs], [image for _, image, _ in pairs], name)


def _opens(path: str, findings: Findings) -> bool:
    try:
        image_size(path)
    except DataError as e:
        says = str(e).removeprefix(f"{path}: ")
        findings.error("bad-image", os.path.basename(path), "image", "file", None, says)
        return False
    return True


def check_masks(
    pairs: Sequence[tuple[str, str, str]], num_classes: int, encoding: str, findings: Findings
) -> None:
    """Opens every mask: one channel, the size of its image, only known classes, not everything ignored."""
    for image_id, image, mask in pairs:
        file = os.path.basename(mask)
        try:
            classes = read_class_map(mask, encoding)
        except DataError as e:
            findings.error("bad-mask", file, image_id, "mask", None, str(e).split(": ", 1)[-1])
            continue
        try:
            size = image_size(image)
        except DataError:
            size = classes.shape[::-1]  # reported as an image
        if size != classes.shape[::-1]:
            says = f"the image is {size[0]}x{size[1]}"
            findings.error(
                "mask-size", file, image_id, "size", f"{classes.shape[1]}x{classes.shape[0]}", says
            )
        wrong = np.setdiff1d(np.unique(classes), [*range(num_classes), IGNORE])
        if len(wrong):
            says = f"expected 0..{num_classes - 1} or {IGNORE}; was a palette image saved as grey?"
            findings.error("mask-class", file, image_id, "classes", wrong.tolist(), says)
        elif (classes == IGNORE).all():
            findings.oddity("mask-ignored", file, image_id, "classes", IGNORE, "nothing in it is judged")


SPECS = [Spec(f"voc_2012_sem_seg_{s}", read_voc_segmentation, _layout(s)) for s in VOC_SPLITS]
