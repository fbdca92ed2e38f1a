"""Errors and their costs equal a slow oracle's, tidecv's, and those of scenes where the answer is plain."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.transfer.evaluation import tide_oracle
from tests.transfer.evaluation.coco import scenes
from tests.transfer.evaluation.coco.tidecv_scenes import SCENES, TIDECVS, make_scene, tidecv_errors
from tests.transfer.evaluation.voc import scenes as voc_scenes
from transfer.evaluation import pairs
from transfer.evaluation.coco import tide as coco_tide
from transfer.evaluation.coco.lvis import evaluate_lvis
from transfer.evaluation.coco.metric import evaluate_coco
from transfer.evaluation.evaluate import errors, evaluate
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.tide import KINDS, Errors

GOLDEN = Path(__file__).parent / "golden" / "tide.json"


def _same(found: Errors, ap50: float, costs: dict[str, float], counts: dict[str, int]) -> None:
    assert found.ap50 == pytest.approx(ap50, abs=1e-9)
    assert dict(found.cost) == pytest.approx(costs, abs=1e-9)
    assert dict(found.count) == counts


@pytest.mark.parametrize("seed", range(60))
def test_boxes_on_coco_equal_the_slow_oracle(seed: int) -> None:
    rng = np.random.RandomState(seed)
    doc = scenes.document(rng, "bbox", images=rng.randint(1, 6), categories=rng.randint(1, 5))
    predictions = scenes.predictions(rng, doc, ("bbox",))
    for p in predictions:
        p.scores = ((rng.permutation(len(p)) + 1) / (len(p) + 2) + rng.rand(len(p)) / 1000).astype(np.float32)
    images = []
    for entry, p in zip(doc["images"], predictions, strict=True):
        truth = [
            {"box": _corners(a["bbox"]), "class": a["category_id"], "crowd": a["iscrowd"]}
            for a in doc["annotations"]
            if a["image_id"] == entry["id"]
        ]
        images.append((truth, _detections(p, [c["id"] for c in doc["categories"]])))
    data = scenes.dataset(doc, ("bbox",))
    found = errors(data, predictions)["bbox"]
    if not any(not o["crowd"] for truth, _ in images for o in truth):
        assert math.isnan(found.ap50)
        return
    _same(found, *tide_oracle.errors(images, tide_oracle.coco_average, greedy=True))


@pytest.mark.parametrize("seed", range(6))
def test_voc_with_its_own_matches_equals_the_slow_oracle(tmp_path: Path, seed: int) -> None:
    data, predictions = voc_scenes.make_scene(tmp_path, seed, 2012, images=25, classes=5)
    by_id = {p.image_id: p for p in predictions}
    images = []
    for record in data.records:
        truth = [
            {"box": a["bbox"], "class": a["category_id"], "difficult": a["difficult"]}
            for a in record["annotations"]
        ]
        p = by_id.get(record["image_id"], Prediction(record["image_id"]))
        images.append((truth, _detections(p, range(20))))
    found = errors(data, predictions)["bbox"]
    _same(found, *tide_oracle.errors(images, tide_oracle.area_average, greedy=False))
    assert min(found.cost[kind] for kind in ("Loc", "Dupe", "Bkg", "Miss")) > 0


def _corners(box: list[float]) -> list[float]:
    return [box[0], box[1], box[0] + box[2], box[1] + box[3]]


def _detections(p: Prediction, ids: object) -> list[dict[str, object]]:
    columns = zip(p.boxes.astype(float).tolist(), p.scores.tolist(), p.classes.tolist(), strict=True)
    return [{"box": box, "score": score, "class": ids[c]} for box, score, c in columns]  # type: ignore[index]


@pytest.mark.parametrize("year", [2007, 2012])
def test_what_the_errors_begin_from_is_ap50_of_voc(tmp_path: Path, year: int) -> None:
    data, predictions = voc_scenes.make_scene(tmp_path, 3, year)
    found = errors(data, predictions)["bbox"]
    scores = evaluate(data, predictions)
    assert found.ap50 == pytest.approx(scores.summary["bbox"]["AP50"], abs=1e-9)
    by_class = {name: v for name, v in scores.per_class["bbox"]["AP50"].items() if not math.isnan(v)}
    assert found.per_class["AP50"] == pytest.approx(by_class, abs=1e-9)


@pytest.mark.parametrize("lvis", [False, True])
@pytest.mark.parametrize("chunk", range(5))
def test_what_they_begin_from_is_ap50_of_coco_and_lvis(lvis: bool, chunk: int) -> None:
    """Ties, crowds, more than 100 detections of a class, federated lists, and no objects at all."""
    for seed in range(40 * chunk, 40 * chunk + 40):
        rng = np.random.RandomState(seed)
        doc = scenes.document(rng, "segm", rng.randint(1, 6), rng.randint(1, 6), lvis)
        data = scenes.dataset(doc, ("bbox", "segm"), "lvis" if lvis else "coco")
        predictions = scenes.predictions(rng, doc, ("bbox", "segm"), many=130 * (seed % 40 == 0))
        scores = (evaluate_lvis if lvis else evaluate_coco)(data, predictions).summary
        for task, found in errors(data, predictions).items():
            assert found.ap50 == pytest.approx(scores[task]["AP50"], abs=1e-9, nan_ok=True), (seed, task)


@pytest.mark.parametrize(("lvis", "seed"), SCENES)
def test_costs_and_counts_are_those_of_tidecv(monkeypatch: pytest.MonkeyPatch, lvis: bool, seed: int) -> None:
    for name, value in TIDECVS.items():
        monkeypatch.setattr(coco_tide, name, value)
    data, predictions = make_scene(lvis, seed)
    golden = json.loads(GOLDEN.read_text())
    for task, found in errors(data, predictions).items():
        _same(found, *golden[f"{'lvis' if lvis else 'coco'} {seed} {task}"])


@pytest.mark.skipif(not importlib.util.find_spec("tidecv"), reason="tidecv is not installed")
@pytest.mark.parametrize("lvis", [False, True])
def test_tidecv_itself_gives_the_same(monkeypatch: pytest.MonkeyPatch, lvis: bool) -> None:
    for name, value in TIDECVS.items():
        monkeypatch.setattr(coco_tide, name, value)
    for seed in range(1000, 1060):
        data, predictions = make_scene(lvis, seed)
        for task, found in errors(data, predictions).items():
            _same(found, *tidecv_errors(data, predictions, task))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data, predictions = make_scene(False, 4)
    whole = errors(data, predictions)
    monkeypatch.setattr(pairs, "MOST", 1)
    assert errors(data, predictions) == whole


def test_each_kind_alone() -> None:
    """One object of either class, found; then one more detection, or one less."""
    objects = [(0, (10, 10, 40, 40)), (1, (100, 100, 140, 140)), (0, (10, 100, 40, 140))]
    rows = [(c, box, 0.5) for c, box in objects]
    wrong = {
        "Cls": [*rows[:1], (0, (100, 100, 140, 140), 0.9), *rows[2:]],
        "Loc": [*rows[:2], (0, (10, 125, 40, 165), 0.9)],
        "Both": [*rows, (1, (10, 25, 40, 55), 0.9)],
        "Dupe": [*rows, (0, (10, 10, 40, 39), 0.4), (0, (10, 10, 40, 38), 0.3)],
        "Bkg": [*rows, (0, (60, 10, 80, 30), 0.9)],
        "Miss": rows[:2],
    }
    for kind, found in wrong.items():
        one = _scene(objects, found)
        others = {k: n for k, n in one.count.items() if n and k not in ("FP", "FN")}
        assert others == {kind: 2 if kind == "Dupe" else 1}, kind
        if kind == "Dupe":  # behind all hits they cost nothing
            assert one.ap50 == 100
            assert one.cost["Dupe"] == 0
        else:
            assert one.cost[kind] == pytest.approx(100 - one.ap50), kind
            assert one.ap50 < 90


def _scene(
    objects: list[tuple[int, tuple[int, ...]]], found: list[tuple[int, tuple[int, ...], float]]
) -> Errors:
    annotations = [
        {
            "id": n,
            "image_id": 1,
            "category_id": c,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": 1.0,
            "iscrowd": 0,
            "segmentation": [],
        }
        for n, (c, (x0, y0, x1, y1)) in enumerate(objects, 1)
    ]
    doc = {
        "images": [{"id": 1, "width": scenes.SIDE, "height": scenes.SIDE, "file_name": "1.jpg"}],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
        "annotations": annotations,
    }
    boxes = np.array([box for _, box, _ in found], np.float32).reshape(-1, 4)
    scores, classes = np.array([s for *_, s in found], np.float32), np.array([c for c, *_ in found])
    return errors(scenes.dataset(doc, ("bbox",)), [Prediction(1, boxes, scores, classes)])["bbox"]


def test_a_class_that_nothing_is_left_of_is_in_no_mean() -> None:
    """As in tidecv: of two classes one is found whole, the other not at all, without a detection."""
    objects = [(0, (10, 10, 40, 40)), (1, (100, 100, 140, 140))]
    found = _scene(objects, [(0, (10, 10, 40, 40), 0.9)])
    assert (found.ap50, found.cost["Miss"]) == (50, 50)
    astray = _scene(objects, [(0, (10, 10, 40, 40), 0.9), (1, (10, 100, 20, 110), 0.9)])
    assert (astray.ap50, astray.cost["Miss"]) == (50, 0), "its own 0 stays"


def test_without_a_single_detection_everything_is_missed() -> None:
    objects = [(0, (10, 10, 40, 40)), (1, (100, 100, 140, 140))]
    found = _scene(objects, [])
    assert found.ap50 == 0
    assert found.count == {**dict.fromkeys(KINDS, 0), "FP": 0, "Miss": 2, "FN": 2}
    undefined = {name for name, cost in found.cost.items() if math.isnan(cost)}
    assert undefined == {"Miss", "FN"}, "no class is left; a row that finds nothing is not the best"
    assert {cost for cost in found.cost.values() if not math.isnan(cost)} == {0.0}
    assert set(found.per_class["Miss"].values()) == {100.0}
