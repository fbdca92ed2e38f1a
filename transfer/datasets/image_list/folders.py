"""Finds images in class folders, `CLASS/NAME.jpg`, of a folder or of a zip archive."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from transfer.datasets.image_list.images import PACKED, LabelledImages, Place, labelled, members
from transfer.errors import DataError

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff", ".gif")


def is_image(name: str) -> bool:
    """Whether a file is taken for an image; hidden ones, such as macOS leaves behind, are not."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def class_folders(root: Path, title: str) -> dict[str, list[Place]]:
    """Class -> its images, classes and images sorted by name; folders below a class belong to it.

    root: a folder, or a zip archive, in which one folder around all is looked through. DataError, beginning
    with `title`, for images that lie in no class folder, and where there is none.
    """
    found = _of_archive(root) if root.suffix.lower() == PACKED else _of_folder(root, title)
    loose = found.pop("", [])
    if loose:
        raise DataError(
            f"{title}: {root} has {len(loose)} images in no class folder (the first is {loose[0]}); "
            "move each into a folder of its class, as CLASS/NAME.jpg"
        )
    found = {name: found[name] for name in sorted(found)}
    if not any(found.values()):
        raise DataError(
            f"{title}: {root} has no images in class folders; expected CLASS/NAME.jpg, with one of the "
            f"endings {' '.join(ENDINGS)}"
        )
    return found


def of_class_folders(
    found: Mapping[str, Sequence[Place]], classes: Sequence[str], name: str
) -> LabelledImages:
    """The list of all images, with the id PART/CLASS/NAME, where `name` ends in PART.

    A class of `found` must be one of `classes`.
    """
    part = name.rpartition("/")[2]
    number = {one: i for i, one in enumerate(classes)}
    rows = [(place, number[one], one) for one, places in found.items() for place in places]
    ids = [f"{part}/{one}/{below(place, one)}" for place, _, one in rows]
    return labelled(name, classes, ids, [place for place, _, _ in rows], [label for _, label, _ in rows])


def below(place: Place, folder: str) -> str:
    """The path of an image below its class folder."""
    parts = PurePosixPath(place.member or Path(place.file).as_posix()).parts
    at = len(parts) - 1 - parts[::-1].index(folder) if folder in parts else len(parts) - 2
    return "/".join(parts[at + 1 :])


def _of_folder(root: Path, title: str) -> dict[str, list[Place]]:
    found: dict[str, list[Place]] = {}
    try:
        with os.scandir(root) as entries:
            there = sorted((entry for entry in entries), key=lambda entry: entry.name)
        for entry in there:
            if entry.is_dir() and not entry.name.startswith("."):
                found[entry.name] = _images_below(entry.path)
            elif is_image(entry.name):
                found.setdefault("", []).append(Place(entry.path))
    except OSError as error:
        raise DataError(f"{title}: {error.filename}: {error.strerror}; correct the path") from None
    return found


def _images_below(folder: str) -> list[Place]:
    paths = []
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [os.path.join(at, name) for name in files if is_image(name)]
    return [Place(path) for path in sorted(paths)]


def _of_archive(archive: Path) -> dict[str, list[Place]]:
    names = [name for name in members(archive) if is_image(PurePosixPath(name).name)]
    names = [name for name in names if not any(part[0] == "." for part in PurePosixPath(name).parts)]
    split = [PurePosixPath(name).parts for name in names]
    around = len({parts[0] for parts in split}) == 1 and all(len(parts) > 2 for parts in split)
    found: dict[str, list[Place]] = {}
    for name, parts in zip(names, split, strict=True):
        inner = parts[1:] if around else parts
        found.setdefault(inner[0] if len(inner) > 1 else "", []).append(Place(str(archive), name))
    return found
