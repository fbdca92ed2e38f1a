"""Sets of frozen features that are cut to a few test images: what is planned, and what a cell then reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.planning.labelled import read_labelled
from transfer.datasets.image_list.own import OwnLabelled
from transfer.datasets.synthetic.dial import draw_image_set
from transfer.errors import DataError
from transfer.frozen.sets import Sources, load_sets
from transfer.recipes.resolve import load_recipe


def test_few_images_are_planned_for_a_probe_and_training_stays_whole(tmp_path: Path) -> None:
    """A probe that needs more says so before its cell; both exams of `ood` are cut, and no training is."""
    for name in ("home", "away"):
        draw_image_set(tmp_path / name, 0.8, classes=3, train=6, test=5)
    own = {
        name: OwnLabelled(
            name, {part: tmp_path / name / part for part in ("train", "test")}, None, "top1", tmp_path
        )
        for name in ("home", "away")
    }
    here = ["DATASETS.TRAIN", ("home",), "DATASETS.TEST", ("home",)]
    for recipe, limit, says in (("fewshot", 4, "needs 35 of each .*--limit 105 w"), ("retrieval", 4, "11 w")):
        cfg = load_recipe(recipe)
        cfg.merge_from_list(here)
        with pytest.raises(DataError, match=says):
            read_labelled(cfg, tmp_path, own, {}, limit)
    cfg = load_recipe("ood")
    cfg.merge_from_list([*here[:2], "DATASETS.TEST", ("away",)])
    (learned,), test = read_labelled(cfg, tmp_path, own, {}, 4)
    assert ("truncated" in learned.summary, test.summary["truncated"]["images"]) == (False, 4)
    exams = [task.exam for task in load_sets(cfg, Sources(tmp_path, own, tmp_path, {}, 4))]
    assert [len(exam.images) for exam in exams] == [4, 4]
    cfg = load_recipe("knn")
    cfg.merge_from_list(here)
    (learned,), test = read_labelled(cfg, tmp_path, own, {}, 4)
    assert ("truncated" in learned.summary, learned.summary["images"], test.summary["images"]) == (
        False,
        15,
        4,
    )
