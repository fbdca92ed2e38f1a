"""Compares two rows: over their trials or, where each has a single one, over the images of their test set.

Several trials are paired by seed (`results.tables.paired`). A single one has no spread over seeds; what it
did on every test image (per_image.npz beside the record) still tells its weights from others on other images.
Neither file nor several trials: there is a gap, and nothing is claimed of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from results.errors import RecordError
from results.run_files import PER_IMAGE
from results.tables.grid import Table
from results.tables.paired import Difference, difference
from results.tables.trials import Trials

DATABASE = ("retrieval/mAP",)  # metrics over queries that are not independent, whatever a file holds
MANY = 30_000  # detections; above, a table leaves resampling to `compare` or --images
INTERVAL = "[low, high]: 95 % interval of one trial over test images (bootstrap), of images and not of seeds"
SHARED = "no interval, no test of {metric}: its queries are each other's database, so they are no sample"
ABSENT = "one trial and no per_image.npz beside its record: no interval, no test: {rows}"
LATER = "{n} detections and more: intervals over images are minutes of work, add --images: {rows}"
BROKEN = "no interval over images: {why}"
TEST = "tests, two-sided: {tests}; a pair is two trials with one seed"
TEST_IMAGES = "tests, two-sided: {tests}; on the same images"
SEES = "sees: the smallest gap that a test over images finds in 80 % of all cases at p < 0.05, uncorrected"


def row_difference(ours: Trials, theirs: Trials, metric: str, patient: bool = True) -> Difference:
    """Ours minus theirs in a metric that both have; `patient`: whether minutes of work may be spent."""
    made = difference(ours.values(metric), theirs.values(metric))
    pair = kept(ours, metric), kept(theirs, metric)
    if made.p is None and pair[0] and pair[1] and _ready([ours, theirs], metric, patient):
        from results.images.compared import image_difference

        with contextlib.suppress(RecordError):  # rows of two test sets, compared by name: no image is shared
            return replace(made, over=image_difference(pair[0], pair[1], metric))
    return made


def row_interval(row: Trials, metric: str, patient: bool = True) -> tuple[float, float] | None:
    """The 95 % interval of a row of one trial over test images; None without its file."""
    found = kept(row, metric)
    if found is None or not _ready([row], metric, patient):
        return None
    from results.images.compared import image_interval

    return image_interval(*found[:2], metric, found[2])


def kept(row: Trials, metric: str) -> tuple[Path, str, float] | None:
    """(path, SHA-256, value) of the outcomes of a row of one trial; or None where there are none.

    Of queries that are each other's database there are none: equally good features were told apart at
    p < 0.05 in 29 % of simulated sets.
    """
    values = row.values(metric)
    if len(row.finished) != 1 or not values or metric in DATABASE:
        return None
    record = row.finished[0]
    told, cell = record.get("per_image"), row.cells.get((row.suite, record["id"]))
    if not told or cell is None or not (cell / PER_IMAGE).is_file():
        return None
    return cell / PER_IMAGE, told["sha256"], values[0][1]


def trouble(row: Trials, metric: str) -> str:
    """Why the outcomes of a row do not count: altered, or not those of its number; empty where they do."""
    found = kept(row, metric)
    if found is None:
        return ""
    from results.images.compared import measure, outcomes

    try:
        measure(outcomes(*found[:2]), metric, found[2])
    except RecordError as error:
        return str(error)
    return ""


def _ready(rows: Iterable[Trials], metric: str, patient: bool) -> bool:
    return not any(trouble(row, metric) or (not patient and slow(row, metric)) for row in rows)


def slow(row: Trials, metric: str) -> bool:
    """Whether resampling the row's images takes longer than a table may."""
    found = kept(row, metric)
    if found is None or trouble(row, metric):
        return False
    from results.images.compared import outcomes

    made = outcomes(*found[:2]).measure(metric)
    return made is not None and made.cost > MANY


def image_notes(rows: Sequence[Trials], metrics: Sequence[str], patient: bool) -> list[str]:
    """Lines for below a table: what the intervals over images are, and why a row has none."""
    notes: dict[str, dict[str, None]] = {}
    for row in rows:
        for metric in metrics:
            # without a folder of cells nothing is known of files: records in memory, or moved alone
            if len(row.finished) != 1 or not row.values(metric) or not row.cells:
                continue
            if metric in DATABASE:
                notes.setdefault(SHARED.format(metric=metric), {})[row.label] = None
            elif why := trouble(row, metric):
                notes.setdefault(BROKEN.format(why=why), {})
            elif kept(row, metric) is None:
                notes.setdefault(ABSENT, {})[row.label] = None
            elif not patient and slow(row, metric):
                notes.setdefault(LATER, {})[row.label] = None
            elif row_interval(row, metric, patient):
                notes.setdefault(INTERVAL, {})
    return [text.format(rows=", ".join(labels), n=MANY) for text, labels in notes.items()]


def test_notes(table: Table) -> list[str]:
    """Which tests made the stars, and for those over images the smallest gap that they could have seen."""
    tests: dict[str, dict[str, list[float]]] = {}
    for row in table.rows:
        for cell in row.cells.values():
            if cell.test:
                seen = tests.setdefault(cell.test, {}).setdefault(row.label, [])
                seen += [] if cell.seen is None else [cell.seen]
    if not tests:
        return []
    said = {test: ", ".join(_sees(*one) for one in rows.items()) for test, rows in tests.items()}
    by_seed = any("seed" in test or "trials" in test for test in tests)
    lines = [
        (TEST if by_seed else TEST_IMAGES).format(
            tests="; ".join(f"{t} ({rows})" for t, rows in said.items())
        )
    ]
    return [*lines, SEES] if any(seen for rows in tests.values() for seen in rows.values()) else lines


def _sees(label: str, seen: Sequence[float]) -> str:
    ends = dict.fromkeys(f"{end:.1f}" for end in (min(seen), max(seen))) if seen else ()
    return f"{label} sees {' to '.join(ends)}" if ends else label
