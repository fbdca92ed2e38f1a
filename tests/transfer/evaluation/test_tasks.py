"""Every task on its generated data set: perfect, spoilt (against Detectron2), empty, on disk and back."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.transfer.evaluation import scenes
from transfer.datasets.class_maps import read_class_map
from transfer.datasets.registry import load_dataset
from transfer.errors import DataError
from transfer.evaluation.coco.metric import evaluate_coco
from transfer.evaluation.evaluate import evaluate, read_predictions, write_predictions
from transfer.evaluation.prediction import Prediction

GOLDEN = json.loads((Path(__file__).parent / "golden" / "tasks.json").read_text())
TASKS = list(scenes.VAL)
SEMANTIC = ("cityscapes_semantic", "voc_semantic")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


def flat(scores):
    scores = getattr(scores, "summary", scores)
    return {(task, name): value for task, values in scores.items() for name, value in values.items()}


def same(a, b, tolerance=0.0):
    a, b = flat(a), flat(b)
    assert a.keys() == b.keys()
    for key in a:
        assert a[key] == pytest.approx(b[key], abs=tolerance, nan_ok=True), key


@pytest.mark.parametrize("task", TASKS)
def test_truth_as_predictions_is_perfect(root, task):
    dataset = scenes.load(task, root)
    scores = flat(evaluate(dataset, scenes.truth(dataset)))
    assert any(not math.isnan(v) for v in scores.values())
    for key, value in scores.items():
        assert math.isnan(value) or value == pytest.approx(100.0, abs=1e-9), key
        assert isinstance(value, float)


@pytest.mark.parametrize("case", sorted(GOLDEN))
def test_spoilt_predictions_score_as_detectron2_said(tmp_path, case):
    task, seed = case.rsplit("-", 1)
    dataset = scenes.load(task, tmp_path, int(seed))
    if scenes.fingerprint(dataset) != GOLDEN[case]["scene"]:
        pytest.skip("this version of Pillow or numpy draws another scene than the stored one")
    got = evaluate(dataset, scenes.spoil(dataset, scenes.truth(dataset), int(seed))).summary
    if task == "densepose":
        del got["bbox"]
    same(got, GOLDEN[case]["scores"], 1e-9)


@pytest.mark.detectron2
@pytest.mark.parametrize("task", [t for t in TASKS if t != "voc"])
def test_spoilt_predictions_score_as_detectron2_says(tmp_path, task):
    pytest.importorskip("detectron2")
    if task == "densepose":
        pytest.importorskip("densepose")
    from tests.transfer.evaluation.detectron2s import ORACLES

    dataset = scenes.load(task, tmp_path / "data", 11)
    predictions = scenes.spoil(dataset, scenes.truth(dataset), 11)
    expected = ORACLES[task](dataset, predictions, tmp_path)
    got = evaluate(dataset, predictions).summary
    if task == "densepose":
        del got["bbox"]
    same(got, expected, 1e-9)


@pytest.mark.parametrize("task", [t for t in TASKS if t not in SEMANTIC])
def test_no_predictions_are_zero_where_there_is_something_to_find(root, task):
    dataset = scenes.load(task, root)
    perfect, empty = evaluate(dataset, scenes.truth(dataset)), evaluate(dataset, [])
    for key, value in flat(perfect).items():
        assert flat(empty)[key] == pytest.approx(0.0 if not math.isnan(value) else math.nan, nan_ok=True), key


@pytest.mark.parametrize("task", SEMANTIC)
def test_semantic_tasks_need_a_map_for_every_image(root, task):
    dataset = scenes.load(task, root)
    predictions = scenes.truth(dataset)
    for wrong, says in (
        (predictions[1:], "no prediction for 1 of"),
        ([*predictions, predictions[0]], "given twice"),
        ([Prediction("nowhere", sem_seg=np.zeros((2, 2), int)), *predictions], "no such image"),
        ([Prediction(predictions[0].image_id), *predictions[1:]], "no sem_seg"),
        (
            [Prediction(predictions[0].image_id, sem_seg=np.zeros((2, 2), int)), *predictions[1:]],
            "the size of the image",
        ),
        (
            [Prediction(predictions[0].image_id, sem_seg=predictions[0].sem_seg + 50), *predictions[1:]],
            "expected 0..",
        ),
        (
            [Prediction(predictions[0].image_id, sem_seg=predictions[0].sem_seg * 1.0), *predictions[1:]],
            "integers",
        ),
    ):
        with pytest.raises(DataError, match=says):
            evaluate(dataset, wrong)


@pytest.mark.parametrize("task", TASKS)
def test_files_read_back_to_the_same_number(root, tmp_path, task):
    dataset = scenes.load(task, root)
    predictions = scenes.spoil(dataset, scenes.truth(dataset), 3)
    write_predictions(dataset, predictions, tmp_path)
    before = evaluate(dataset, predictions)
    same(evaluate(dataset, read_predictions(dataset, tmp_path)), before)
    assert any(0 < v < 100 for v in flat(before).values())


@pytest.mark.parametrize("task", TASKS)
def test_scoring_writes_nothing_and_repeats(root, tmp_path, monkeypatch, task):
    dataset = scenes.load(task, root)
    predictions = scenes.spoil(dataset, scenes.truth(dataset), 4)
    monkeypatch.chdir(tmp_path)
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
    first = evaluate(dataset, predictions)
    same(evaluate(dataset, predictions), first)
    assert os.listdir(tmp_path) == []
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*")} == before


@pytest.mark.parametrize("task", TASKS)
def test_per_class_names_every_class(root, task):
    dataset = scenes.load(task, root)
    key = "stuff_classes" if task in SEMANTIC else "thing_classes"
    for values in evaluate(dataset, scenes.truth(dataset)).per_class.values():
        for by_class in values.values():
            assert list(by_class) == dataset.metadata[key]
            assert any(v == pytest.approx(100.0) for v in by_class.values())


def test_mean_iou_against_a_slow_count(root):
    dataset = scenes.load("voc_semantic", root)
    predictions = scenes.spoil(dataset, scenes.truth(dataset), 9)
    hit, truth, guess = ([0] * 21 for _ in range(3))
    for record, p in zip(dataset.records, predictions, strict=True):
        for t, g in zip(
            read_class_map(record["sem_seg_file_name"]).ravel().tolist(),
            p.sem_seg.ravel().tolist(),
            strict=True,
        ):
            if t != 255:
                truth[t] += 1
                guess[g] += 1
                hit[t] += t == g
    ious = [100 * h / (t + g - h) for h, t, g in zip(hit, truth, guess, strict=True) if t]
    assert evaluate(dataset, predictions).summary["sem_seg"]["mIoU"] == pytest.approx(
        sum(ious) / len(ious), abs=1e-9
    )


def test_numpy_and_the_libraries_of_others_stay_as_they_are(root):
    code = (
        "import sys, numpy as np; had = hasattr(np, 'in1d'), hasattr(np, 'float')\n"
        "from pathlib import Path; import logging; from tests.transfer.evaluation import scenes as s\n"
        "from transfer.evaluation.evaluate import evaluate\n"
        "for task in ('lvis_v0.5', 'cityscapes_instance', 'cityscapes_semantic'):\n"
        f"    d = s.load(task, Path({str(root)!r})); evaluate(d, s.truth(d))\n"
        "assert (hasattr(np, 'in1d'), hasattr(np, 'float')) == had\n"
        "assert 'lvis' not in sys.modules and 'cv2' not in sys.modules and 'torch' not in sys.modules\n"
        "assert not logging.getLogger().handlers\n"
        "import cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling as theirs\n"
        "assert theirs.np is np\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""


def test_masks_and_boxes_must_belong_together(root):
    dataset = scenes.load("coco", root)
    predictions = scenes.truth(dataset)
    predictions[0].masks = list(predictions[0].masks or [])[:-1]
    with pytest.raises(DataError, match="masks for"):
        evaluate(dataset, predictions)
    predictions = scenes.truth(dataset)
    next(p for p in predictions if len(p)).masks = None
    with pytest.raises(DataError, match="for some images and not for others"):
        evaluate(dataset, predictions)


def test_boxes_alone_are_scored_as_boxes_alone(root):
    dataset = scenes.load("coco", root)
    predictions = scenes.truth(dataset)
    for p in predictions:
        p.masks = None
    assert list(evaluate(dataset, predictions).summary) == ["bbox"]


@pytest.mark.parametrize("task", ["coco", "densepose"])
def test_a_model_that_finds_nobody_has_all_metrics(task, root):
    """Detectron2 leaves the fields of its heads out where an image has no detection."""
    dataset = scenes.load(task, root)
    wanted = evaluate(dataset, scenes.truth(dataset)).summary
    found = evaluate(dataset, [Prediction(p.image_id) for p in scenes.truth(dataset)]).summary
    assert {t: list(numbers) for t, numbers in found.items()} == {t: list(n) for t, n in wanted.items()}
    assert len(found) > 1


def test_real_coco_sample_is_perfect_against_itself(samples, tmp_path):
    (tmp_path / "coco").symlink_to(samples / "coco_mini")
    for name in ("coco_2017_val", "coco_2017_train", "keypoints_coco_2017_val", "keypoints_coco_2017_train"):
        dataset = load_dataset(name, tmp_path)
        assert dataset.summary["odd"] == {}
        for backend in ("pycocotools", None):
            for key, value in flat(evaluate_coco(dataset, scenes.truth(dataset), backend)).items():
                assert value == pytest.approx(100.0, abs=1e-9) or key[0] == "bbox", (name, key)
