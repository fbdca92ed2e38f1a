"""The metrics named before a run are those that its evaluation yields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.transfer.evaluation.suites import trained_suites
from transfer.datasets.coco.own import OwnDataset
from transfer.datasets.registry import dataset_names, load_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.errors import DataError
from transfer.evaluation.__main__ import scored_set
from transfer.evaluation.evaluate import evaluate
from transfer.evaluation.names import NAMES, evaluator_of, metrics_of
from transfer.evaluation.prediction import Prediction
from transfer.recipes.resolve import flatten, load_recipe

NAMED = sorted({*map(scored_set, trained_suites()), "keypoints_coco_2014_val", "voc_2012_val"})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("all")
    make_synthetic(NAMED, path, train_images=2, test_images=2, image_size=64)
    return path


def _nothing_found(dataset: Any) -> list[Prediction]:
    """No objects; of class maps, which every image needs, the first class everywhere."""
    if dataset.metadata["tasks"] == ["sem_seg"]:
        shapes = [(r["image_id"], (r["height"], r["width"])) for r in dataset.records]
        return [Prediction(image, sem_seg=np.zeros(shape, np.int64)) for image, shape in shapes]
    if dataset.metadata["evaluator"] == "cityscapes_instance":
        return [Prediction(r["image_id"], masks=[]) for r in dataset.records]
    return []


@pytest.mark.parametrize("name", NAMED)
def test_names_are_those_that_an_evaluation_returns(name: str, root: Path) -> None:
    dataset = load_dataset(name, root)
    evaluator, tasks = evaluator_of(name, {})
    assert (evaluator, list(tasks)) == (dataset.metadata["evaluator"], dataset.metadata["tasks"])
    found = evaluate(dataset, _nothing_found(dataset)).summary
    expected = {task: NAMES[evaluator][task] for task in found}
    assert {task: tuple(values) for task, values in found.items()} == expected
    everything = set(NAMES[evaluator]) - ({"segm", "keypoints"} if evaluator == "coco" else set())
    assert everything <= set(found)
    assert all(any(task.startswith(t) for t in tasks) for task in found)


def test_every_public_data_set_has_an_evaluator() -> None:
    assert {evaluator_of(name, {})[0] for name in dataset_names()} == set(NAMES)
    with pytest.raises(DataError, match="unknown data set 'coco_2017_vla'; did you mean coco_2017_val"):
        evaluator_of("coco_2017_vla", {})


def test_only_what_a_head_predicts_and_the_data_have_is_yielded() -> None:
    own = {"mine": OwnDataset("mine", Path("a"), Path("b"), ("bbox", "segm"), Path("suite.yaml"))}
    assert evaluator_of("mine", own) == ("coco", ("bbox", "segm"))

    def tasks(recipe: str, data: tuple[str, tuple[str, ...]], *overrides: tuple[str, str]) -> list[str]:
        metrics = metrics_of(*data, flatten(load_recipe(recipe, overrides)))
        return list(dict.fromkeys(metric.split("/")[0] for metric in metrics))

    both = evaluator_of("mine", own)
    assert tasks("coco_fpn_1x", both) == ["bbox", "segm"]
    assert tasks("coco_fpn_1x", both, ("MODEL.MASK_ON", "False")) == ["bbox"]
    assert tasks("coco_fpn_1x", ("coco", ("bbox",))) == ["bbox"]
    assert tasks("coco_keypoint", evaluator_of("keypoints_coco_2017_val", {})) == ["bbox", "keypoints"]
    assert tasks("coco_keypoint", both) == ["bbox"]
    assert tasks("voc_semantic", evaluator_of("voc_2012_sem_seg_val", {})) == ["sem_seg"]
    assert tasks("voc_semantic", both) == []
    dense = evaluator_of("densepose_coco_2014_minival", {})
    assert tasks("coco_densepose", dense)[1:] == ["densepose_gps", "densepose_gpsm", "densepose_segm"]
    assert tasks("coco_fpn_1x", dense) == ["bbox"]
