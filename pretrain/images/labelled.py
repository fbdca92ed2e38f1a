"""Finds the labelled pair of image sets that an evaluation of frozen features needs."""

from __future__ import annotations

from pathlib import Path

from pretrain.errors import PretrainError
from pretrain.images.sources import ImageSet, find_images


def labelled_pair(data: str, advice: str = "give --knn-data") -> tuple[ImageSet, ImageSet]:
    """Lists the labelled train/ and val/ (or test/) of a folder.

    Raises PretrainError, with `advice`, where one of the two or its classes are missing.
    """
    root = Path(data)
    held_out = next((root / name for name in ("val", "test") if (root / name).is_dir()), None)
    if not (root / "train").is_dir() or held_out is None:
        raise PretrainError(f"{root}: needs class folders in train/ and in val/ or test/; {advice}")
    pair = find_images(root / "train", subset=None), find_images(held_out, subset=None, minimum=1)
    for images, folder in zip(pair, (root / "train", held_out), strict=True):
        if not images.classes:
            raise PretrainError(f"{folder}: needs one folder per class; found images without a class")
    unknown = set(pair[1].classes) - set(pair[0].classes)
    if unknown:
        raise PretrainError(f"{held_out}: class {sorted(unknown)[0]!r} is not in {root / 'train'}")
    return pair
