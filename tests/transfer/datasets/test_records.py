"""Lazy records: joined, chosen, and sent to other processes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from transfer.datasets.records import LazyRecords, chosen, joined
from transfer.datasets.registry import load_dataset
from transfer.datasets.synthetic.make import make_synthetic

NAMES = [
    *("voc_2007_test", "voc_2012_sem_seg_val", "coco_2017_val", "keypoints_coco_2017_val"),
    *("lvis_v0.5_val", "cityscapes_fine_instance_seg_val", "cityscapes_fine_sem_seg_val"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("records")
    make_synthetic(NAMES, root, train_images=2, test_images=2, image_size=48)
    return root


@pytest.mark.parametrize("name", NAMES)
def test_records_reach_another_process(name: str, root: Path) -> None:
    records = load_dataset(name, root).records
    copy = pickle.loads(pickle.dumps(records))
    assert list(copy) == list(records)
    assert len(records) >= 1


def test_joined_and_chosen_records_are_made_when_they_are_asked_for() -> None:
    made: list[int] = []

    def make(i: int) -> dict[str, int]:
        made.append(i)
        return {"image_id": i}

    parts = [LazyRecords(3, make), [{"image_id": 10}], LazyRecords(0, make), LazyRecords(2, make)]
    both = joined(parts)
    assert made == []
    assert len(both) == 6
    assert [r["image_id"] for r in both] == [0, 1, 2, 10, 0, 1]
    assert both[-1] == {"image_id": 1}
    some = chosen(both, [4, 3, 0])
    made.clear()
    assert len(some) == 3
    assert made == []
    assert [r["image_id"] for r in some] == [0, 10, 0]
    with pytest.raises(IndexError):
        some[3]
