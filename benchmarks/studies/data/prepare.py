"""Prepares a set: reads its sources, splits, writes it whole or not at all, and leaves one that is there."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.errors import UsageError
from benchmarks.studies.data.coco_file import write_pictures
from benchmarks.studies.data.labelled import link_labelled, says_of
from benchmarks.studies.data.maps_file import write_maps
from benchmarks.studies.data.sets import LISTS, OTHER_VERSIONS, OTHERS, SETS, WEIGHTS, StudySet
from benchmarks.studies.data.splits import draw
from benchmarks.studies.data.thin_r50 import write_weights
from benchmarks.studies.data.tiny_imagenet import write_lists
from benchmarks.studies.sources import SOURCES, absent
from transfer.datasets.waiting import waiting

ABOUT = "about.json"  # what a prepared set is; written last, so that a folder with it is whole


def sources_of(name: str) -> tuple[str, ...]:
    """The sources from which a set is prepared."""
    return (OTHERS[name],) if name in OTHERS else SETS[name].sources


def prepare(name: str, source: Path, output: Path) -> dict[str, Any]:
    """Prepares `output/name` unless it is there in this version; returns what it is.

    UsageError names the sources that are absent, or hold no image. What an earlier version left is replaced.
    """
    folder = output / name
    version = SETS[name].version if name in SETS else OTHER_VERSIONS.get(name, 1)
    about = _about(folder)
    if about is not None and about.get("version") == version:
        return about
    missing = absent(sources_of(name), source)
    if missing:
        says = "; ".join(one.line() for one in missing)
        raise UsageError(f"{name}: absent under {source}: {says}")
    with _replacing(folder) as part:
        facts = _pictures(SETS[name], source, part) if name in SETS else _others(name, source, part)
        known = [SOURCES[one].known_from for one in sources_of(name)]
        about = {"name": name, "version": version, "from": known} | facts
        (part / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return about


def _about(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of `folder` at the end, or is gone if anything fails."""
    part = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _others(name: str, source: Path, part: Path) -> dict[str, Any]:
    if name == LISTS:
        # They name images relative to their folder, and `part` lies beside what it will become.
        images = write_lists(source, part)
        _none_empty(name, images)
        return {"says": "lists and links for pre-training, kNN and linear", "images": images}
    if name == WEIGHTS:
        says = "weights under torchvision's names, for `converters`"
        return {"says": says, "arrays": write_weights(source, part)}
    images = link_labelled(name, source, part)
    _none_empty(name, images)
    return {"says": f"{says_of(name)}; links into the source", "images": images}


def _pictures(row: StudySet, source: Path, part: Path) -> dict[str, Any]:
    with waiting(f"{row.name}: reading, and looking for near duplicates"):
        splits = row.read(source)
        _none_empty(row.name, {split: len(pictures) for split, pictures in splits.items()})
        fit, tune = draw(splits["train"], round(row.tune * len(splits["train"])), f"{row.name}/tune")
    splits |= {"fit": fit, "tune": tune}
    says = (
        f"{row.says}; {row.form}. Near duplicates lie in one split; "
        "fit and tune are parts of train, for choosing rates"
    )
    info = {"description": says, "set": row.name, "version": row.version}
    write_pictures(splits, row.classes, row.form, info, part)
    if row.maps:
        write_maps(splits, row.form, part)
    return {"says": says, "classes": list(row.classes), "splits": _counts(part, splits)}


def _none_empty(name: str, images: dict[str, int]) -> None:
    """UsageError where a split has no image: what is prepared from a half checkout would stay for good."""
    empty = [split for split, count in images.items() if not count]
    if empty:
        checkouts = " or ".join(sources_of(name))
        raise UsageError(f"{name}: {empty[0]} has no image; {checkouts} is not whole: take it anew")


def _counts(part: Path, splits: dict[str, Any]) -> dict[str, Any]:
    """Images and objects by class of each split, counted in what was written."""
    counts = {}
    for split in splits:
        content = json.loads((part / f"{split}.json").read_text(encoding="utf-8"))
        names = {c["id"]: c["name"] for c in content["categories"]}
        objects = Counter(names[a["category_id"]] for a in content["annotations"])
        counts[split] = {"images": len(content["images"]), "objects": dict(sorted(objects.items()))}
    return counts
