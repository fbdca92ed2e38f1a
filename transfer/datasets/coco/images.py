"""Checks the `images` and `categories` of a COCO-like file, and packs the images into columns."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.files import listing
from transfer.datasets.findings import Findings

LARGEST = 10**7  # no image is that many pixels wide


@dataclass
class Images:
    """Images in rising order of id, as Detectron2 orders them.

    ids, width, height: (M,) int64. names: file names under the image root. extra: LVIS's further fields.
    sloppy: whether repeated ids and boxes of other images are tolerated, as in the 2014 minival files.
    """

    ids: np.ndarray
    width: np.ndarray
    height: np.ndarray
    names: list[str]
    extra: dict[str, list[Any]]
    sloppy: bool = False

    def index_of(self, image_ids: np.ndarray) -> np.ndarray:
        """(N,) position of each id; only for known ids."""
        return np.searchsorted(self.ids, image_ids)

    def take(self, indices: np.ndarray) -> Images:
        """The images at these positions, (I,) rising."""
        which = indices.tolist()
        extra = {key: [values[i] for i in which] for key, values in self.extra.items()}
        names = [self.names[i] for i in which]
        columns = (self.ids[indices], self.width[indices], self.height[indices])
        return Images(*columns, names, extra, self.sloppy)

    def sizes(self, image_ids: np.ndarray, known: np.ndarray) -> np.ndarray:
        """(N, 2) width and height of the image of each annotation; 0 where it is unknown."""
        out = np.zeros((len(image_ids), 2))
        at = self.index_of(image_ids[known])
        out[known, 0], out[known, 1] = self.width[at], self.height[at]
        return out


def read_images(
    entries: Any,
    root: Path,
    file: str,
    findings: Findings,
    *,
    name_of: Any,
    extra: tuple[str, ...],
    sloppy: bool,
) -> Images:
    """Checks and packs the `images` list; extra: names of further fields to keep.

    name_of(entry) gives the file name under `root`; it raises KeyError or TypeError where there is none.
    """
    if not isinstance(entries, list):
        findings.error("missing-field", file, "", "images", None, "missing or not a list")
        entries = []
    rows: dict[int, tuple[int, int, str, list[Any]]] = {}
    names: set[str] = set()
    for index, entry in enumerate(entries):
        record = f"image entry {index}"
        if not isinstance(entry, dict):
            findings.error("not-an-object", file, record, "value", entry, "expected a JSON object")
            continue
        if not _positive_integers(entry, record, file, findings):
            continue
        try:
            name = name_of(entry)
        except (KeyError, AttributeError, TypeError, ValueError):
            findings.error(
                "missing-field", file, f"image id {entry['id']}", "file_name", None, "missing or no text"
            )
            continue
        record = f"image id {entry['id']}"
        file_of = os.path.normpath(name) if "/" in name else name  # ./a.jpg is a.jpg
        if not name or os.path.isabs(name) or ".." in name.split("/") or not is_text(name):
            findings.error(
                "bad-path", file, record, "file_name", name, f"must be a plain path under {root.name}"
            )
        elif entry["id"] in rows:
            findings.error("duplicate-image", file, record, "id", entry["id"], "used by another image too")
        elif file_of in names:
            findings.error("duplicate-image", file, record, "file_name", name, "used by another image too")
        else:
            names.add(file_of)
            more = [entry.get(key, []) for key in extra]
            rows[entry["id"]] = (entry["width"], entry["height"], name, more)
    _check_presence(rows, root, file, findings)
    order = sorted(rows)
    return Images(
        np.array(order, np.int64),
        np.array([rows[i][0] for i in order], np.int64),
        np.array([rows[i][1] for i in order], np.int64),
        [rows[i][2] for i in order],
        {key: [rows[i][3][k] for i in order] for k, key in enumerate(extra)},
        sloppy,
    )


def is_text(name: str) -> bool:
    """Whether a file may have that name: JSON can hold NUL and halves of surrogate pairs."""
    return "\0" not in name and (name.isascii() or not any("\ud800" <= c <= "\udfff" for c in name))


def _positive_integers(entry: dict[str, Any], record: str, file: str, findings: Findings) -> bool:
    good = True
    for key, least, most in (("id", 0, 2**63 - 1), ("width", 1, LARGEST), ("height", 1, LARGEST)):
        value = entry.get(key)
        if key not in entry:
            findings.error("missing-field", file, record, key, None, "missing")
        elif not isinstance(value, int) or isinstance(value, bool):
            findings.error("wrong-type", file, record, key, value, "expected an integer")
        elif not least <= value <= most:
            rule = "bad-size" if key != "id" else "bad-id"
            findings.error(rule, file, record, key, value, f"must be {least} to {most}")
        else:
            continue
        good = False
    return good


def _check_presence(
    rows: dict[int, tuple[int, int, str, list[Any]]], root: Path, file: str, findings: Findings
) -> None:
    folders: dict[str, set[str]] = {}
    for image_id, (_, _, name, _) in rows.items():
        folder, base = os.path.split(name)
        if folder not in folders:
            path = root / folder
            folders[folder] = listing(path) if path.is_dir() else set()
        if base not in folders[folder]:
            says = f"no such file under {root.name}"
            findings.error("missing-image", file, f"image id {image_id}", "file_name", name, says)


def read_categories(entries: Any, file: str, findings: Findings) -> list[dict[str, Any]]:
    """The `categories` list in rising order of id, so that the contiguous class is the position."""
    if not isinstance(entries, list) or not entries:
        findings.error("missing-field", file, "", "categories", None, "missing, empty or not a list")
        return []
    good: dict[int, dict[str, Any]] = {}
    names: set[str] = set()
    for index, entry in enumerate(entries):
        record = f"category entry {index}"
        if not isinstance(entry, dict):
            findings.error("not-an-object", file, record, "value", entry, "expected a JSON object")
        elif not isinstance(entry.get("id"), int) or isinstance(entry["id"], bool):
            findings.error("bad-category", file, record, "id", entry.get("id"), "expected an integer")
        elif not 0 <= entry["id"] < 2**31:
            findings.error("bad-category", file, record, "id", entry["id"], "must be 0 or more and small")
        elif not isinstance(entry.get("name"), str) or not entry["name"] or not is_text(entry["name"]):
            findings.error("bad-category", file, record, "name", entry.get("name"), "expected a name")
        elif entry["id"] in good or entry["name"] in names:
            key = "id" if entry["id"] in good else "name"
            findings.error(
                "duplicate-category", file, record, key, entry[key], "used by another category too"
            )
        else:
            good[entry["id"]] = entry
            names.add(entry["name"])
    return [good[i] for i in sorted(good)]
