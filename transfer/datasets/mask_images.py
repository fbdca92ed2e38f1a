"""Reads mask images, whose one channel holds a number for each pixel, as they are stored, and checks them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np

from transfer.datasets.findings import Findings
from transfer.datasets.images import image_size
from transfer.errors import DataError

IGNORE = 255  # the class of pixels that are not judged


def read_mask(path: str | os.PathLike[str]) -> np.ndarray:
    """(H, W) stored numbers; of a palette image the indices, where a reader of grey would give luminances.

    DataError if the file is no image of one channel.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L", "I", "I;16", "1"):
                raise DataError(f"{path}: mode {image.mode}; expected a one-channel mask (palette or grey)")
            return np.array(image)
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise DataError(f"{path}: cannot be read as a mask ({e})") from None


def check_class_maps(
    masks: Sequence[tuple[str, str, str]],
    read: Callable[[str], np.ndarray],
    num_classes: int,
    findings: Findings,
) -> None:
    """Reads every class map: the size of its image, only known classes, not everything ignored.

    masks: (image id, image file, mask file) each. read: a mask file -> (H, W) classes from 0, and IGNORE.
    """
    for image_id, image, mask in masks:
        file = os.path.basename(mask)
        try:
            classes = read(mask)
        except DataError as e:
            findings.error("bad-mask", file, image_id, "mask", None, str(e).split(": ", 1)[-1])
            continue
        try:
            size = image_size(image)
        except DataError:
            size = classes.shape[::-1]  # reported as an image
        if size != classes.shape[::-1]:
            got, says = f"{classes.shape[1]}x{classes.shape[0]}", f"the image is {size[0]}x{size[1]}"
            findings.error("mask-size", file, image_id, "size", got, says)
        wrong = np.setdiff1d(np.unique(classes), [*range(num_classes), IGNORE])
        if len(wrong):
            says = f"expected 0..{num_classes - 1} or {IGNORE}; was a palette image saved as grey?"
            findings.error("mask-class", file, image_id, "classes", wrong.tolist(), says)
        elif (classes == IGNORE).all():
            findings.oddity("mask-ignored", file, image_id, "classes", IGNORE, "nothing in it is judged")
