"""Reads VOC 2007 for classification: a list of each class and part, with 1, -1 and 0 for difficult."""

from __future__ import annotations

from pathlib import Path

from transfer.datasets.image_list.public.row import Entry, Listing, lines, scrambled, words
from transfer.datasets.voc import CLASSES


def read_voc07(root: Path, seed: int) -> Listing:
    """`ImageSets/Main/CLASS_{train,val,test}.txt`, each of which must list the images of the part, in order.

    A label of 0 says that all objects of the class in the image are difficult. It is kept: VISSL trains on
    such images as negatives and leaves them out of the test, and other protocols do otherwise.
    """
    main, parts = root / "ImageSets" / "Main", {}
    for part in ("train", "val", "test"):
        ids = lines(main / f"{part}.txt")
        columns = []
        for name in CLASSES:
            path = main / f"{name}_{part}.txt"
            rows = words(path, 2, "image, 1 or -1 or 0")
            if [image for image, _ in rows] != ids:
                raise scrambled(path, f"its images are not those of {part}.txt, in their order")
            if not {value for _, value in rows} <= {"1", "-1", "0"}:
                raise scrambled(path, "a label is not 1, -1 or 0")
            columns.append([int(value) for _, value in rows])
        labels = zip(*columns, strict=True)
        parts[part] = [Entry(i, f"JPEGImages/{i}.jpg", row) for i, row in zip(ids, labels, strict=True)]
    return Listing(tuple(CLASSES), parts)
