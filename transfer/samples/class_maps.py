"""Makes a segmentor's sample of a record with a class map: scale, crop and flip, image and labels alike.

MoCo paper, appendix A.5: random scaling in INPUT.SCALE_RANGE, a crop of INPUT.CROP.SIZE, horizontal flip;
inference at the original size. mmsegmentation's pipeline besides: the scale is of a fixed shortest side,
crops that one class fills are drawn again, colours change. All is a function of (seed, epoch, index).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from yacs.config import CfgNode

from transfer.datasets.class_maps import read_class_map
from transfer.datasets.mask_images import IGNORE
from transfer.errors import DataError
from transfer.process.draws import augmentation_generator
from transfer.samples.colours import distorted
from transfer.samples.sample import Sample, make_sample, read_image, resized, resized_window

TRIES = 10  # at another crop, where one class fills it; the last one is taken as it is


def semantic_training_sample(
    record: dict[str, Any], cfg: CfgNode, metadata: dict[str, Any], seed: int, epoch: int, index: int
) -> Sample:
    """The augmented sample of (seed, epoch, index).

    `class_map` always has the size of the crop, 255 where the scaled image does not reach; `image` ends where
    the scaled image does, because no uint8 is the pixel mean: the engine fills the rest, right and below,
    with zeros after normalisation, as DeepLab does.
    """
    image = read_image(record)
    labels = _labels(record, metadata["sem_seg_encoding"], cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES)
    rng = augmentation_generator(seed, epoch, index)
    ratio = rng.uniform(*cfg.INPUT.SCALE_RANGE)
    crop = tuple(map(int, cfg.INPUT.CROP.SIZE))  # (height, width)
    whole = _whole_size(image.height, image.width, ratio, cfg)
    size = (min(crop[0], whole[0]), min(crop[1], whole[1]))
    y, x = image.height / whole[0], image.width / whole[1]
    for tries_left in range(TRIES, -1, -1):
        top, left = (int(rng.integers(w - s + 1)) if w > s else 0 for w, s in zip(whole, size, strict=True))
        kept = labels[_nearest(top, size[0], y)[:, None], _nearest(left, size[1], x)]
        if not tries_left or _mixed(kept, cfg.INPUT.CROP.SINGLE_CATEGORY_MAX_AREA):
            break
    flipped = cfg.INPUT.RANDOM_FLIP == "horizontal" and rng.random() < 0.5

    pixels = resized_window(image, whole, (top, left), size)
    class_map = np.full(crop, IGNORE, np.uint8)
    class_map[: size[0], : size[1]] = kept[:, ::-1] if flipped else kept
    pixels = pixels[:, ::-1] if flipped else pixels
    pixels = distorted(pixels, rng) if cfg.INPUT.COLOR_AUG_SSD else pixels
    return make_sample(record, pixels, cfg.INPUT.FORMAT, class_map=torch.from_numpy(class_map))


def semantic_evaluation_sample(record: dict[str, Any], cfg: CfgNode) -> Sample:
    """The image at test size: the original one where INPUT.MIN_SIZE_TEST is 0."""
    image = read_image(record)
    size = resized(image.height, image.width, cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST)
    pixels = np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))  # of equal size: a copy
    return make_sample(record, pixels, cfg.INPUT.FORMAT)


def _whole_size(height: int, width: int, ratio: float, cfg: CfgNode) -> tuple[int, int]:
    """The size of the scaled image: by a ratio of its own size, or of MIN_SIZE_TRAIN for its shorter side."""
    if cfg.INPUT.SCALE_OF == "image":
        return max(int(height * ratio + 0.5), 1), max(int(width * ratio + 0.5), 1)
    shortest = max(int(cfg.INPUT.MIN_SIZE_TRAIN[0] * ratio), 1)
    return resized(height, width, shortest, cfg.INPUT.MAX_SIZE_TRAIN)


def _mixed(classes: np.ndarray, largest: float) -> bool:
    """Tells whether two classes are judged in it, and none on `largest` of what is judged, or more."""
    if largest == 1:
        return True
    counts = np.bincount(classes.ravel(), minlength=IGNORE + 1)[:IGNORE]
    return bool((counts > 0).sum() > 1 and counts.max() < largest * counts.sum())


def _nearest(start: int, count: int, scale: float) -> np.ndarray:
    """The source pixels under the centres of the resized pixels from `start` on."""
    return ((np.arange(start, start + count) + 0.5) * scale).astype(np.int64)


def _labels(record: dict[str, Any], encoding: str, num_classes: int) -> np.ndarray:
    """The (H, W) uint8 class map; DataError unless it has its image's size and only classes of the recipe."""
    path = record["sem_seg_file_name"]
    classes = read_class_map(path, encoding)
    if classes.shape != (record["height"], record["width"]):
        raise DataError(
            f"{path}: the mask is {classes.shape[1]}x{classes.shape[0]}, its image {record['width']}x"
            f"{record['height']}; restore the pair"
        )
    highest = int(np.where(classes == IGNORE, 0, classes).max(initial=0))
    if highest >= num_classes:
        raise DataError(
            f"{path}: class {highest}; the recipe has MODEL.SEM_SEG_HEAD.NUM_CLASSES {num_classes}, so 0.."
            f"{num_classes - 1} or {IGNORE} are expected"
        )
    return classes
