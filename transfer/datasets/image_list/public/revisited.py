"""Reads Revisited Oxford and Paris: images to be searched, queries with boxes, and what is right for each.

The ground truth is read from `gnd_NAME.mat`; the pickled one beside it could run code, and is not opened.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.image_list.content import digests
from transfer.datasets.image_list.images import Images, Place
from transfer.datasets.image_list.public.mat_lists import load_mat
from transfer.datasets.image_list.public.row import Remote, missing, scrambled
from transfer.datasets.limit import lowest, truncated
from transfer.errors import DataError

SETS = {"roxford5k": 4_993, "rparis6k": 6_322}  # images that are searched
QUERIES = 70
_GROUND = "http://cmp.felk.cvut.cz/revisitop/data/datasets"
_OXFORD, _THOR = "https://www.robots.ox.ac.uk/~vgg/data", "https://thor.robots.ox.ac.uk"


@dataclass(frozen=True, eq=False)
class RetrievalSet:
    """Images that are searched for those that show what a query shows.

    boxes: (queries, 4) float64, x0 y0 x1 y1 in pixels of the query's image, to which the protocol crops it.
    easy, hard, junk: for each query the numbers of such images. Medium counts easy and hard as right and
    ignores junk, hard counts hard as right and ignores easy and junk. summary: counts and `sha256`.
    """

    name: str
    images: Images
    queries: Images
    boxes: np.ndarray
    easy: tuple[np.ndarray, ...]
    hard: tuple[np.ndarray, ...]
    junk: tuple[np.ndarray, ...]
    summary: dict[str, Any]

    def limited(self, number: int) -> RetrievalSet:
        """The set with `number` of its queries; itself for 0, or where it has no more. All images stay."""
        if not 0 < number < len(self.queries):
            return self
        rows = lowest(self.queries.ids, number)
        easy, hard, junk = (
            tuple(column[row] for row in rows.tolist()) for column in (self.easy, self.hard, self.junk)
        )
        cut = truncated(number, len(self.queries))
        return replace(
            self,
            queries=self.queries.take(rows, self.queries.name),
            boxes=self.boxes[rows],
            summary={**self.summary, "queries": number, "truncated": cut},
            easy=easy,
            hard=hard,
            junk=junk,
        )


def load_retrieval(name: str, root: Path, images: int | None = None, queries: int = QUERIES) -> RetrievalSet:
    """Reads `roxford5k` or `rparis6k` from `root/NAME`: `gnd_NAME.mat` and `jpg/*.jpg`, and hashes it.

    images, queries: how many there must be, the published numbers by default. DataError says in one line
    what is missing or wrong.
    """
    if name not in SETS:
        raise DataError(f"unknown set for retrieval {name!r}; known: {', '.join(SETS)}")
    folder = Path(root).expanduser().absolute() / name
    truth = folder / f"gnd_{name}.mat"
    if not truth.is_file():
        pickled = " (the .pkl could run code, and is not read)" if truth.with_suffix(".pkl").exists() else ""
        raise DataError(f"{name}: {truth} is missing{pickled}; it is at {_GROUND}/{name}/{truth.name}")
    files, asked, rows = load_mat(truth, "imlist", "qimlist", "gnd")
    names, queried = (np.atleast_1d(column).astype(str).tolist() for column in (files, asked))
    rows, expected = np.atleast_1d(rows), (images or SETS[name], queries)
    if (len(names), len(queried)) != expected or len(rows) != queries:
        raise scrambled(
            truth, f"{len(names)} images, {len(queried)} queries; expected {expected[0]}, {queries}"
        )
    absent = missing(folder, (f"jpg/{image}.jpg" for image in (*names, *queried)))
    if absent:
        raise DataError(
            f"{name}: {folder / absent[0]} is missing ({len(absent)} in all); unpack the archives again"
        )
    found = {p: _images(f"{name}/{p}", folder, ids) for p, ids in (("images", names), ("queries", queried))}
    boxes = np.array([np.asarray(_field(row, "bbx"), float).ravel() for row in rows])
    right = {
        key: tuple(_numbers(row, key, len(names), truth) for row in rows) for key in ("easy", "hard", "junk")
    }
    whole = hashlib.sha256("".join(f"{part}\0{i}\0" for part in found for i in found[part].ids).encode())
    whole.update("".join(digest for images in found.values() for digest in digests(images)).encode())
    whole.update(
        repr([boxes.tolist(), *([row.tolist() for row in rows] for rows in right.values())]).encode()
    )
    summary = {"images": len(names), "queries": len(queried), "sha256": whole.hexdigest()}
    return RetrievalSet(name, found["images"], found["queries"], boxes, **right, summary=summary)


def _images(name: str, folder: Path, ids: list[str]) -> Images:
    return Images(name, tuple(ids), tuple(Place(str(folder / "jpg" / f"{i}.jpg")) for i in ids))


def _field(row: Any, key: str) -> Any:
    return row[key] if key in (row.dtype.names or ()) else []


def _numbers(row: Any, key: str, images: int, truth: Path) -> np.ndarray:
    """Numbers from 0 of the file's, which count from 1."""
    found = np.atleast_1d(np.asarray(_field(row, key), np.int64)).ravel() - 1
    if len(found) and not 0 <= found.min() <= found.max() < images:
        raise scrambled(truth, f"{key} names an image that is not listed")
    return found


REMOTES = {
    "roxford5k": (
        Remote(
            "oxbuild_images-v1.tgz",
            (f"{_OXFORD}/oxbuildings/oxbuild_images-v1.tgz", f"{_THOR}/oxbuildings/oxbuild_images-v1.tgz"),
            "roxford5k/jpg",
            flat=True,
        ),
        Remote("gnd_roxford5k.mat", (f"{_GROUND}/roxford5k/gnd_roxford5k.mat",), "roxford5k"),
    ),
    "rparis6k": (
        *(
            Remote(
                f"paris_{number}-v1.tgz",
                (
                    f"{_OXFORD}/parisbuildings/paris_{number}-v1.tgz",
                    f"{_THOR}/parisbuildings/paris_{number}.tgz",
                ),
                "rparis6k/jpg",
                flat=True,
            )
            for number in (1, 2)
        ),
        Remote("gnd_rparis6k.mat", (f"{_GROUND}/rparis6k/gnd_rparis6k.mat",), "rparis6k"),
    ),
}
