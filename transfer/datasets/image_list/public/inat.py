"""Reads iNaturalist 2018, whose lists are in COCO's form with a class instead of boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transfer.datasets.image_list.public.row import Entry, Listing, scrambled
from transfer.errors import DataError


def read_inat18(root: Path, seed: int) -> Listing:
    """`train2018.json` and `val2018.json`: images, the class of each, and 8,142 numbered classes.

    The labels of the real test are not public, so val is the test. A class is named by its number.
    """
    parts, names = {}, []
    for part, file in (("train", "train2018.json"), ("test", "val2018.json")):
        content = _content(root / file)
        try:
            of_image = {one["image_id"]: int(one["category_id"]) for one in content["annotations"]}
            numbers = sorted(int(one["id"]) for one in content["categories"])
            parts[part] = [
                Entry(one["file_name"], one["file_name"], of_image[one["id"]]) for one in content["images"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise scrambled(root / file, f"no list of images with a class each ({error!r})") from None
        if numbers != list(range(len(numbers))):
            raise scrambled(root / file, "its classes do not count from 0")
        names.append(numbers)
    if names[0] != names[1]:
        raise scrambled(root / "val2018.json", f"{len(names[1])} classes, and train has {len(names[0])}")
    return Listing(tuple(map(str, names[0])), parts)


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; restore the file") from None
    except ValueError as error:
        raise DataError(f"{path}: no JSON ({error}); take the file anew") from None
