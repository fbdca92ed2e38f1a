"""Reads the sets whose labels are MATLAB files: Flowers-102 and Stanford Cars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.image_list.public.row import Entry, Listing, scrambled
from transfer.errors import DataError


def load_mat(path: Path, *names: str) -> list[Any]:
    """The variables of a MATLAB file; DataError where it is missing, is none, or lacks one."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(str(path), squeeze_me=True)
        return [content[name] for name in names]
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or 'cannot be read'}; restore the file") from None
    except (MatReadError, NotImplementedError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path}: no MATLAB file with {' and '.join(names)} ({error}); take it anew"
        ) from None


def read_flowers(root: Path, seed: int) -> Listing:
    """The split of `setid.mat`: `trnid` and `valid` have ten images a class each, `tstid` all others.

    Some code swaps `trnid` and `tstid` for more training images; a swapped file is refused by its counts.
    """
    (labels,) = load_mat(root / "imagelabels.mat", "labels")
    ids = load_mat(root / "setid.mat", "trnid", "valid", "tstid")
    labels = np.asarray(labels).ravel()
    parts = {}
    for part, numbers in zip(("train", "val", "test"), ids, strict=True):
        numbers = np.asarray(numbers).ravel().astype(int)
        if len(numbers) and not 1 <= numbers.min() <= numbers.max() <= len(labels):
            raise scrambled(root / "setid.mat", f"{part} names images that imagelabels.mat does not label")
        names = [f"image_{number:05d}" for number in numbers]
        classes = labels[numbers - 1].astype(int) - 1
        parts[part] = [Entry(n, f"jpg/{n}.jpg", int(c)) for n, c in zip(names, classes, strict=True)]
    return Listing(tuple(str(number) for number in range(1, int(labels.max(initial=0)) + 1)), parts)


def read_cars(root: Path, seed: int) -> Listing:
    """The lists `devkit/cars_train_annos.mat` and `cars_test_annos_withlabels.mat`; classes count from 1."""
    (names,) = load_mat(root / "devkit" / "cars_meta.mat", "class_names")
    parts = {}
    for part, path in (
        ("train", root / "devkit" / "cars_train_annos.mat"),
        ("test", root / "cars_test_annos_withlabels.mat"),
    ):
        (rows,) = load_mat(path, "annotations")
        if "class" not in (rows.dtype.names or ()):
            raise DataError(
                f"{path}: has no classes (it is the file for the challenge); expected "
                "cars_test_annos_withlabels.mat"
            )
        files, classes = [str(f) for f in rows["fname"]], [int(c) for c in rows["class"]]
        for file, number in zip(files, classes, strict=True):
            if not 1 <= number <= len(names):
                raise scrambled(path, f"{file} has the class {number} of {len(names)}")
        parts[part] = [
            Entry(f"{part}/{file}", f"cars_{part}/{file}", number - 1)
            for file, number in zip(files, classes, strict=True)
        ]
    return Listing(tuple(str(name) for name in names), parts)
