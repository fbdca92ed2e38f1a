"""A test set that is cut to a few images: the same ones everywhere, all classes early, and marked."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from transfer.datasets.image_list.images import Images, Place, labelled
from transfer.datasets.image_list.parts import Exam, Task, limited_home, limited_task
from transfer.datasets.image_list.public.revisited import RetrievalSet
from transfer.datasets.limit import OF_CLASSES, RULE, limited, lowest, of_each_class
from transfer.datasets.registry import load_dataset
from transfer.errors import DataError, TransferError

IDS = [f"image-{number}" for number in range(40)]


def _number(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16)


def _task(metric: str, labels: list[int]) -> Task:
    places = [Place(f"/{name}.jpg") for name in IDS[: len(labels)]]
    test = labelled("set/test", ["a", "b", "c"], IDS[: len(labels)], places, labels)
    return Task("set", test.classes, None, Exam(test), metric, {"images": {"test": len(labels)}})


def test_the_lowest_hashes_are_taken_in_the_order_of_the_set() -> None:
    best = sorted(sorted(IDS, key=_number)[:7], key=IDS.index)
    assert [IDS[row] for row in lowest(IDS, 7)] == best
    assert lowest(IDS, 99).tolist() == list(range(40))


def _slow(labels: np.ndarray, number: int) -> list[int]:
    """Takes of each class in turn what comes first by hash, one turn after the other."""
    several = labels if labels.ndim == 2 else labels[:, None] == np.unique(labels)
    order = sorted(range(len(labels)), key=lambda row: _number(IDS[row]))
    turns: dict[int, int] = {}
    for column in (several == 1).T:
        for turn, row in enumerate(row for row in order if column[row]):
            turns[row] = min(turn, turns.get(row, turn))
    ranked = sorted(order, key=lambda row: turns.get(row, len(labels)))  # stable: by hash within a turn
    return sorted(ranked[:number])


@pytest.mark.parametrize("number", [1, 5, 17, 40])
def test_each_class_has_its_turn(number: int) -> None:
    rng = np.random.default_rng(number)
    single = rng.integers(0, 5, 40)
    several = rng.choice([-1, 0, 1], (40, 4)).astype(np.int8)
    several[3] = -1  # an image of no class
    for labels in (single, several):
        assert of_each_class(IDS, labels, number).tolist() == _slow(labels, number)


def test_a_data_set_is_cut_with_its_truth(devkit: Path) -> None:
    whole = load_dataset("voc_2007_test", devkit)
    cut = limited(whole, 2)
    assert len(cut.records) == cut.summary["images"] == 2
    assert cut.summary["objects"] == sum(len(record["annotations"]) for record in cut.records)
    assert cut.summary["truncated"] == {"images": 2, "of": 4, "rule": RULE}
    assert cut.summary["sha256"] == whole.summary["sha256"], "the whole is what was read and proven"
    best = sorted((record["image_id"] for record in whole.records), key=_number)[:2]
    assert {record["image_id"] for record in cut.records} == set(best)
    assert limited(whole, 4) is whole


def test_an_exam_is_cut_and_the_whole_is_spent() -> None:
    labels = [row % 3 for row in range(12)]
    task = _task("mean_per_class", labels)
    cut = limited_task(task, 3)
    assert cut.summary["truncated"] == {"images": 3, "of": 12, "rule": OF_CLASSES}
    seen = cut.exam.mark(lambda truth: truth.tolist())
    assert sorted(seen) == [0, 1, 2]
    assert [labels[IDS.index(one)] for one in cut.exam.images.ids] == seen
    with pytest.raises(TransferError, match="was marked already"):
        task.exam.mark(lambda truth: truth)
    assert limited_task(cut, 0) is cut
    assert limited_task(cut, 3) is cut


def test_a_mean_over_classes_needs_an_image_of_each() -> None:
    with pytest.raises(
        DataError, match="2 test images are too few: .* needs 1 of each of its 3 classes; --limit 3 w"
    ):
        limited_task(_task("mean_per_class", [0, 1, 2] * 4), 2)
    assert len(limited_task(_task("top1", [0, 1, 2] * 4), 2).exam.images) == 2


def test_a_probe_says_how_many_it_needs() -> None:
    labels = [0] * 12 + [1] * 12 + [2]  # of the last class there are no two
    with pytest.raises(DataError, match="needs 6 of each of its 3 classes; --limit 18 will do"):
        limited_task(_task("top1", labels), 10, each=6)
    assert len(limited_task(_task("top1", labels), 18, each=6).exam.images) == 18
    with pytest.raises(DataError, match="--limit 11 will do"):
        limited_task(_task("top1", labels), 10, each=2, images=11)


def test_the_clean_images_beside_another_set_are_cut_by_the_same_rule() -> None:
    labels = [0, 1, 2] * 8
    home = limited_home(_task("top1", labels), 6, np.array([2, 0]))
    assert sorted(home.exam.mark(lambda truth: truth.tolist())) == [0, 0, 0, 2, 2, 2]
    kept = [row for row, label in enumerate(labels) if label != 1]
    rows = of_each_class([IDS[row] for row in kept], np.array(labels)[kept], 6)
    assert set(home.exam.images.ids) == {IDS[kept[row]] for row in rows}


def test_queries_are_cut_and_all_images_searched() -> None:
    images = Images("r/images", tuple(IDS), tuple(Place(f"/{name}") for name in IDS))
    queries = Images("r/queries", tuple(IDS[:6]), images.places[:6])
    lists = {key: tuple(np.array([n, n + add]) for n in range(6)) for key, add in
             (("easy", 10), ("hard", 20), ("junk", 30))}  # fmt: skip
    whole = RetrievalSet("r", images, queries, np.arange(24.0).reshape(6, 4), **lists, summary={"queries": 6})
    cut = whole.limited(2)
    rows = lowest(IDS[:6], 2).tolist()
    assert cut.queries.ids == tuple(IDS[row] for row in rows)
    assert cut.boxes.tolist() == whole.boxes[rows].tolist()
    assert [one.tolist() for one in cut.hard] == [[row, row + 20] for row in rows]
    assert (cut.images, cut.summary["queries"]) == (images, 2)
    assert whole.limited(0) is whole
    assert whole.limited(6) is whole
