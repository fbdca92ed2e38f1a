"""Reads a user's own class maps: a folder of images, one of maps of the same names, and a list of both."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from transfer.datasets.base import Dataset
from transfer.datasets.coco.own import OwnDataset, block, check_keys, near, own_path
from transfer.datasets.files import listing, read_split
from transfer.datasets.findings import Findings
from transfer.datasets.mask_images import IGNORE
from transfer.datasets.own_voc import ENDINGS, classes_of
from transfer.datasets.pairs import Pair, dataset_of_pairs
from transfer.datasets.voc_segmentation import read_indices
from transfer.errors import DataError

FORMAT = "class_maps"
EVALUATOR = "voc_sem_seg"  # the mean over classes, of all pixels of the set
_FOLDERS = ("images", "maps")


def make_own_maps(name: str, definition: Mapping[Any, Any], suite: Path) -> OwnDataset:
    """Checks a definition `{format, images, maps, list, classes}`; what the paths hold is not looked at.

    DataError names the file and the key.
    """
    where = f"{block(suite)}: {name}"
    check_keys(definition, ("format", *_FOLDERS, "list", "classes"), (), where)
    images, maps, names = (own_path(definition[key], f"{where}: {key}", suite) for key in (*_FOLDERS, "list"))
    classes = classes_of(definition["classes"], where, "the maps count them from 0")
    if len(classes) > IGNORE:
        raise DataError(f"{where}: classes has {len(classes)} names; a map has room for {IGNORE}")
    return OwnDataset(name, names, images, ("sem_seg",), suite, classes, maps)


def read_own_maps(own: OwnDataset, findings: Findings) -> Dataset[None]:
    """Reads the data set; problems go to `findings`, missing or unreadable files raise DataError."""
    assert own.maps is not None
    for key, folder in zip(_FOLDERS, (own.images, own.maps), strict=True):
        if not folder.is_dir():
            raise DataError(f"{own.where}: {key}: {folder} is not a folder; correct `{key}`{near(folder)}")
    if not own.json.is_file():
        raise DataError(f"{own.where}: list: {own.json} is not a file; correct `list`{near(own.json)}")
    try:
        present, maps = listing(own.images), listing(own.maps)
        pairs = _pairs(own, read_split(own.json, findings), present, maps, findings)
    except DataError as error:
        raise DataError(f"{own.where}: list: {error}") from None
    except OSError as error:
        raise DataError(f"{own.where}: {error.filename}: {error.strerror}") from None
    metadata = {
        "evaluator": EVALUATOR,
        "stuff_classes": list(own.classes),
        "sem_seg_encoding": "index",
        "split": own.json.stem,
    }
    return replace(dataset_of_pairs(own.name, pairs, read_indices, metadata, findings), where=own.where)


def _pairs(
    own: OwnDataset, ids: list[str], present: set[str], maps: set[str], findings: Findings
) -> list[Pair]:
    """The image and the map of each id; one that is absent is an error among the findings."""
    pairs = []
    for image_id in ids:
        image = next((image_id + end for end in ENDINGS if image_id + end in present), None)
        if image is None:
            wanted = f"{image_id}{ENDINGS[0]}"
            findings.error("missing-image", own.json.name, image_id, "image", wanted, "no such file")
        if f"{image_id}.png" not in maps:
            findings.error("missing-mask", own.json.name, image_id, "map", f"{image_id}.png", "no such file")
        elif image is not None:
            pairs.append((image_id, os.path.join(own.images, image), f"{own.maps}/{image_id}.png"))
    return pairs
