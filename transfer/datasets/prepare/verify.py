"""Says by what a copy of a set holds whether it is the official one, and names the first record that differs.

No official digest of unpacked images is known offline, so a verdict says what was compared and what was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from transfer.datasets.base import Dataset
from transfer.datasets.findings import Findings
from transfer.datasets.image_list.public import revisited
from transfer.datasets.image_list.public.table import ROWS, read_parts, row_of
from transfer.datasets.images import image_size, of_each, upright_size
from transfer.datasets.prepare import content
from transfer.datasets.prepare.content import Line
from transfer.datasets.prepare.facts import (
    FACTS,
    compared,
    counts_of,
    first_error,
    sha256_of,
    table_of,
)
from transfer.datasets.prepare.sets import wanted
from transfer.datasets.records import column
from transfer.datasets.registry import read_dataset
from transfer.errors import DataError

UNSEEN = (
    "not compared, since nobody published them: the bytes of the images, so that images that changed places "
    "are seen only by their sizes{labelled}. All is compared by `verify {name} --against LIST`, with the "
    "list that `verify {name} --save LIST` writes of a copy whose archives had the published hashes"
)


@dataclass
class Compared:
    """One split, or part of a labelled set: what is as published and what is not, in lines, and its content.

    doubt: what counts as a difference unless the whole content equals that of another copy.
    """

    name: str
    same: list[str]
    other: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    doubt: str = ""

    def said(self) -> str:
        """The verdict in a line."""
        says = f"DIFFERS: {'; '.join(self.other)}" if self.other else "; ".join(self.same)
        return f"{self.name}: {says}" + (f"; content {content.digest_of(self.lines)}" if self.lines else "")


def verify(
    name: str, root: Path, say: Callable[[str], None], known: Sequence[Line] | None = None
) -> list[Compared]:
    """Compares the set `name` below `root` with what is published, and with `known` lines of another copy.

    A split's name stands for itself. Each verdict is said as soon as it is known. DataError where nothing can
    be compared: a name that nobody knows, a missing folder, a file that cannot be read.
    """
    root = Path(root).expanduser().absolute()
    all_of_it = []
    for one in _parts(name, root):
        if known is not None and (one.lines or not one.other):
            _hold_against(one, known)
        if one.doubt:
            one.other.append(one.doubt)
        say(one.said())
        all_of_it.append(one)
    if known is None and not any(one.other for one in all_of_it):
        labelled = "" if wanted(name).splits else ", and here none are stated"
        say(f"{name}: " + UNSEEN.format(name=name, labelled=labelled))
    return all_of_it


def _hold_against(one: Compared, known: Sequence[Line]) -> None:
    there = [line for line in known if line.split == one.name]
    wrong = (
        _first(content.differences(one.lines, there, "the list")) if there else "the list has nothing of it"
    )
    if wrong:
        one.other.append(wrong)
        return
    images = sum(bool(line.id) for line in there)
    one.same.append(f"{images:,} images and their annotations as in the list")
    one.doubt = ""


def _parts(name: str, root: Path) -> Iterator[Compared]:
    what = wanted(name)
    if name in revisited.SETS:
        for lines in content.lines_of_retrieval(revisited.load_retrieval(name, root)):
            part = lines[0].split
            yield Compared(part, [f"{len(lines):,} {part.partition('/')[2]} as published"], [], lines)
    elif name in ROWS:
        for images in read_parts(row_of(name), root).values():
            same = f"{len(images):,} images, {len(images.classes)} classes: as published"
            yield Compared(images.name, [same], [], content.lines_of_labelled(images))
    else:
        for split in (name,) if name in what.splits else what.splits:
            yield _split(split, root)


def _split(name: str, root: Path) -> Compared:
    findings, facts = Findings(keep=1), FACTS[name]
    dataset = read_dataset(name, root, findings)
    counts, wrong = compared(counts_of(dataset), facts)
    one = Compared(name, [f"{counts}: as published"] if counts else [], [wrong] if wrong else [])
    if broken := first_error(findings):
        one.other.append(broken)
        return one
    if facts.sha256:
        path = table_of(name, root)
        if sha256_of(path) == facts.sha256:
            one.same.append(f"SHA-256 of {path.name} as published")
        else:
            one.doubt = f"{path.name} was written anew or changed: its SHA-256 is not the published one"
    sizes, wrong = _sizes(dataset)
    one.same += [sizes] if sizes else []
    one.other += [wrong] if wrong else []
    one.lines = content.lines_of(dataset)
    return one


def _sizes(dataset: Dataset[Any]) -> tuple[str, str]:
    """(what is right, what is wrong) of each image's real size and its annotation's, or its class map's."""
    records = dataset.records
    paths = column(records, "file_name").tolist()
    if dataset.metadata["tasks"] == ["sem_seg"]:
        maps = [records[i]["sem_seg_file_name"] for i in range(len(records))]
        pairs = [(image, one) for image, one in zip(paths, maps, strict=True) if one.endswith(".png")]
        real = of_each(image_size, [image for image, _ in pairs], "sizes of images")
        stated = of_each(image_size, [one for _, one in pairs], "sizes of class maps")
        paths = [image for image, _ in pairs]
    else:
        real = of_each(upright_size, paths, "sizes of images")
        sides = (column(records, side).tolist() for side in ("width", "height"))
        stated = list(zip(*sides, strict=True))
    wrong = [
        f"{Path(path).name}: the annotation says {says[0]}x{says[1]}, the image is {size[0]}x{size[1]}"
        for path, size, says in zip(paths, real, stated, strict=True)
        if tuple(size) != tuple(says)
    ]
    if not wrong:
        return f"{len(paths):,} images have the sizes that are annotated", ""
    scrambled = len(wrong) > max(1, len(paths) // 100)
    return "", _first(iter(wrong)) + (": are the images' indices scrambled?" if scrambled else "")


def _first(found: Iterator[str]) -> str:
    """The first line and the number of the others; empty where there is none."""
    first = next(found, "")
    more = sum(1 for _ in found)
    return first + (f" (and {more:,} more)" if more else "")


def verify_all(
    names: Sequence[str], root: Path, say: Callable[[str], None], save: Path | None, against: Path | None
) -> tuple[bool, list[str]]:
    """Verifies one after the other; returns whether all are official, and a line for each unreadable one."""
    known = content.load(against) if against else None
    found: list[Compared] = []
    failed = []
    for name in names:
        try:
            found += verify(name, root, say, known)
        except DataError as error:
            failed.append(str(error))
    wrong = next((one.name for one in found if one.other), "")
    if save and wrong:
        say(f"{save}: not written, since {wrong} DIFFERS, and a list vouches for other copies")
    elif save and not failed:
        content.save(save, chain.from_iterable(one.lines for one in found))
        say(f"wrote {save}")
    return not wrong, failed
