"""Identifies labelled images by their content: ids, labels and bytes, wherever and however they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from transfer.datasets.image_identity import image_digests, member_digests
from transfer.datasets.image_list.images import RECORDS, Images, LabelledImages, Place, image_bytes
from transfer.datasets.images import check_header


def digests(images: Images) -> list[str]:
    """SHA-256 of the bytes of each image, in order; of a CIFAR record of its pixel values.

    Read once: afterwards size, times and inode of a file vouch for it (see `image_identity`). DataError
    names the first file that cannot be read or is no image of 8 bits a channel.
    """
    found: dict[Place, str] = {}
    whole = [place for place in images.places if not place.member]
    found.update(zip(whole, image_digests([place.file for place in whole], check_header), strict=True))
    packed: dict[str, list[Place]] = {}
    for place in images.places:
        if place.member:
            packed.setdefault(place.file, []).append(place)
    for file, places in packed.items():
        found.update(zip(places, _of_many(file, [place.member for place in places]), strict=True))
    return [found[place] for place in images.places]


def _of_many(file: str, names: Sequence[str]) -> list[str]:
    if file.endswith(RECORDS):  # 180 MB at most: no faster looked up than hashed
        raw = memoryview(Path(file).read_bytes())
        ends = [(int(name), int(name) + 3072) for name in names]
        return [hashlib.sha256(raw[start:end]).hexdigest() for start, end in ends]
    return member_digests(file, names, partial(_member, file), check_header)


def _member(file: str, name: str) -> bytes:
    return image_bytes(Place(file, name))


def identity(parts: Mapping[str, LabelledImages], known: Mapping[str, Sequence[str]]) -> str:
    """SHA-256 over parts, classes, ids, labels and the `known` digests of each part; no path is in it."""
    whole = hashlib.sha256(b"labelled images 1\n")
    for name in sorted(parts):
        part = parts[name]
        whole.update(f"part {name}\n".encode())
        whole.update("".join(f"class {one}\n" for one in part.classes).encode())
        for image_id, label, digest in zip(part.ids, part.labels.tolist(), known[name], strict=True):
            whole.update(f"{image_id}\0{label}\0{digest}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def shared(one: Sequence[str], other: Sequence[str]) -> np.ndarray:
    """Numbers of those images of `one` whose bytes an image of `other` has too."""
    there = set(other)
    return np.flatnonzero([digest in there for digest in one])


def contradictions(images: LabelledImages, known: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of ids that have the same bytes and different labels."""
    first: dict[str, int] = {}
    found = []
    for i, digest in enumerate(known):
        before = first.setdefault(digest, i)
        if not np.array_equal(images.labels[before], images.labels[i]):
            found.append((images.ids[before], images.ids[i]))
    return found
