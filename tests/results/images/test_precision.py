"""Average precision over resampled images against the official code on resampled image lists.

The oracles evaluate a document, or a data set, in which each image stands as often as it was drawn, under ids
of its own. Scores of one image are made different: of two equal ones, no order is the right one.
"""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.images import compared
from results.images.compared import image_difference
from results.images.measure import interval
from results.images.precision import AveragePrecision, Matches
from tests.transfer.evaluation.coco import scenes
from tests.transfer.evaluation.voc.scenes import make_scene
from transfer.evaluation.coco.backends import pycocotools
from transfer.evaluation.coco.detections import detections
from transfer.evaluation.coco.matches import coco_outcomes
from transfer.evaluation.coco.metric import evaluate_coco
from transfer.evaluation.voc.matches import voc_outcomes
from transfer.evaluation.voc.metric import evaluate_voc

TASKS = {"bbox": ("bbox",), "segm": ("bbox", "segm"), "keypoints": ("bbox", "keypoints")}


def scene(seed: int, task: str, images: int = 5) -> tuple[Any, Any, Any]:
    """(document, data set, predictions)."""
    rng = np.random.RandomState(seed)
    doc = scenes.document(rng, task, images=images)
    return doc, scenes.dataset(doc, TASKS[task]), scenes.predictions(rng, doc, TASKS[task])


def untied(found: list[Any]) -> list[Any]:
    """The predictions with scores that differ within each image."""
    return [
        dataclasses.replace(one, scores=(one.scores + 1e-3 * np.arange(len(one))).astype(np.float32))
        for one in found
    ]


def redrawn(doc: Any, predictions: list[Any], counts: list[int]) -> tuple[Any, list[Any]]:
    """The document and predictions with image i `counts[i]` times, its copies side by side."""
    new: dict[str, list[Any]] = {"images": [], "annotations": []}
    found = []
    for entry, times in zip(doc["images"], counts, strict=True):
        for _ in range(times):
            id = len(new["images"]) + 1
            new["images"].append({**entry, "id": id})
            for a in doc["annotations"]:
                if a["image_id"] == entry["id"]:
                    new["annotations"].append({**a, "image_id": id, "id": len(new["annotations"]) + 1})
            found += [dataclasses.replace(p, image_id=id) for p in predictions if p.image_id == entry["id"]]
    return {**doc, **new}, found


@pytest.mark.parametrize("task", TASKS)
def test_all_images_give_pycocotools_numbers_to_the_last_bit(task: str, reread: Any) -> None:
    defined = 0
    for seed in range(7):
        _, data, predictions = scene(seed, task)
        kept = reread(coco_outcomes(data, predictions))
        _, precision = pycocotools(data.ground_truth, detections(data, predictions), task)
        measure = kept.measure(f"{task}/AP")
        assert np.array_equal(measure.table(np.ones((1, 5), int))[0], precision[:, :, :, 0, -1])
        scores = evaluate_coco(data, predictions, "pycocotools").summary[task]
        for name in ("AP", "AP50", "AP75"):
            assert kept.measure(f"{task}/{name}").value() == pytest.approx(scores[name], nan_ok=True, abs=0)
        defined += 0 < scores["AP"] < 100
    assert defined > 3


@pytest.mark.parametrize("task", TASKS)
def test_resampled_images_give_pycocotools_numbers(task: str, reread: Any) -> None:
    rng = np.random.default_rng(0)
    for seed in range(8):
        doc, data, predictions = scene(seed, task)
        predictions = untied(predictions)
        counts = np.bincount(rng.integers(0, 5, 5), minlength=5)
        measure = reread(coco_outcomes(data, predictions)).measure(f"{task}/AP")
        again, found = redrawn(doc, predictions, counts.tolist())
        expected = evaluate_coco(scenes.dataset(again, TASKS[task]), found, "pycocotools").summary[task]["AP"]
        assert measure.at(counts[None])[0] == pytest.approx(expected, rel=1e-12, nan_ok=True), seed


@pytest.mark.parametrize("year", [2007, 2012])
def test_voc_images(tmp_path: Path, year: int, reread: Any) -> None:
    """Eleven points and the area, on all images and on resampled ones."""
    data, predictions = make_scene(tmp_path, 3, year, images=12, classes=4)
    kept = reread(voc_outcomes(data, predictions))
    expected = evaluate_voc(data, predictions).summary["bbox"]
    for name, value in expected.items():
        assert kept.measure(f"bbox/{name}").value() == pytest.approx(value, rel=1e-12)
    rng = np.random.default_rng(1)
    by_id = {p.image_id: p for p in predictions}
    for _ in range(6):
        counts = np.bincount(rng.integers(0, 12, 12), minlength=12)
        drawn = list(np.repeat(np.arange(12), counts))
        records = [{**data.records[i], "image_id": f"{n}"} for n, i in enumerate(drawn)]
        ids = [data.records[i]["image_id"] for i in drawn]
        found = [dataclasses.replace(by_id[id], image_id=f"{n}") for n, id in enumerate(ids) if id in by_id]
        value = evaluate_voc(dataclasses.replace(data, records=records), found).summary["bbox"]["AP"]
        assert kept.measure("bbox/AP").at(counts[None])[0] == pytest.approx(value, rel=1e-12)


def test_many_samples_at_once_are_each_by_itself(reread: Any) -> None:
    _, data, predictions = scene(4, "bbox", images=8)
    measure = reread(coco_outcomes(data, predictions)).measure("bbox/AP")
    counts = np.random.default_rng(2).multinomial(8, np.full(8, 1 / 8), size=50)
    assert measure.at(counts).tolist() == [float(measure.at(one[None])[0]) for one in counts]
    values = measure.resampled(200)
    assert np.isfinite(values).all()
    assert values.tolist() == measure.resampled(200).tolist(), "seeded"
    assert values.std() > 1


def test_the_interval_is_around_what_was_observed() -> None:
    """Drawing images twice raises an average precision: the percentiles alone lie too high."""
    rng = np.random.default_rng(0)
    made = [ranked(rng, 120) for _ in range(60)]
    drawn = [one.resampled(200) for one in made]
    assert np.mean([values.mean() - one.value() for one, values in zip(made, drawn, strict=True)]) > 1
    expected = np.mean([ranked(rng, 120).value() for _ in range(300)])
    ends = [interval(values, one.value()) or (0, 0) for one, values in zip(made, drawn, strict=True)]
    observed = np.mean([one.value() for one in made])
    assert np.mean(ends) == pytest.approx(observed, abs=0.3)
    assert np.mean([interval(values) or (0, 0) for values in drawn]) > observed + 1
    assert np.mean([low <= expected <= high for low, high in ends]) >= 0.9


def test_a_rows_interval_is_of_that_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ranked(np.random.default_rng(3), 120)
    monkeypatch.setattr(compared, "outcomes", lambda path, sha256: None)
    monkeypatch.setattr(compared, "measure", lambda found, metric, value: made)
    ends = compared.image_interval(Path("nowhere"), "0", "svm/mAP", made.value())
    assert ends == interval(made.resampled(), made.value())
    assert ends != interval(made.resampled())


def ranked(rng: np.random.Generator, n: int, classes: int = 5) -> AveragePrecision:
    """n images, one of five classes each, scored so that the classes are told apart by half."""
    truth = rng.integers(0, classes, n)
    scores = rng.normal(size=(n, classes)) + 1.2 * np.eye(classes)[truth]
    order = np.argsort(-scores, axis=0).T
    hit = (truth[order] == np.arange(classes)[:, None]).astype(np.int64).ravel()
    sorted_scores = np.take_along_axis(scores.T, order, axis=1).ravel()
    edges = n * np.arange(classes + 1)
    found = Matches(n, order.ravel(), sorted_scores, edges, hit, np.zeros_like(hit), np.arange(n), truth)
    return AveragePrecision(found, "area", (0,))


def test_the_test_says_the_least_p_that_it_gives() -> None:
    rng = np.random.default_rng(0)
    found = ranked(rng, 40).compared(ranked(rng, 40))
    assert found is not None
    assert found.test == "networks exchanged over 40 images (p from 0.001)"


def test_exchanged_networks_against_pycocotools(tmp_path: Path) -> None:
    """Of four images all eight exchanges, each evaluated by pycocotools with mixed predictions."""
    doc, data, one = scene(11, "bbox", images=4)
    ours = untied(one)
    theirs = untied(scenes.predictions(np.random.RandomState(5), doc, ("bbox",)))
    theirs = [dataclasses.replace(p, scores=p.scores + np.float32(3e-4)) for p in theirs]

    def ap(found: list[Any]) -> float:
        return evaluate_coco(data, found, "pycocotools").summary["bbox"]["AP"]

    measures = [AveragePrecision(_matches(data, found), "coco", tuple(range(10))) for found in (ours, theirs)]
    both = AveragePrecision(measures[0].matches.beside(measures[1].matches), "coco", tuple(range(10)))
    observed, far = abs(ap(ours) - ap(theirs)), 0
    for flips in itertools.product((0, 1), repeat=4):
        pair: list[list[Any]] = [[], []]
        for flip, a, b in zip(flips, ours, theirs, strict=True):
            pair[flip].append(a)
            pair[1 - flip].append(b)
        counts = np.array([[*(1 - flip for flip in flips), *flips]])
        assert both.at(counts)[0] == pytest.approx(ap(pair[0]), rel=1e-12)
        far += abs(ap(pair[0]) - ap(pair[1])) >= observed - 1e-9
    found = measures[0].compared(measures[1], 300)
    assert found is not None
    assert found.p == far / 16
    assert 2 / 16 < found.p <= 1
    assert found.test == "networks exchanged over 4 images"
    gap = measures[0].value() - measures[1].value()
    assert found.interval[0] <= gap <= found.interval[1]


def _matches(data: Any, found: list[Any]) -> Any:
    from results.images.precision import Matches

    arrays = coco_outcomes(data, found).arrays
    parts = ("image", "score", "edges", "hit", "ignored", "truth_image", "truth_class")
    return Matches(len(data.ground_truth.images.ids), *(arrays[f"bbox.{part}"] for part in parts))


def test_nothing_found_and_nothing_to_find(reread: Any) -> None:
    _, data, predictions = scene(0, "bbox")
    kept = reread(coco_outcomes(data, []))
    assert kept.measure("bbox/AP").value() == 0.0
    assert kept.measure("bbox/AP").resampled(20).tolist() == [0.0] * 20
    without = reread(coco_outcomes(data, predictions)).measure("bbox/AP")
    objects = without.matches.truth_image
    counts = np.array([int(i not in objects) for i in range(5)])
    assert np.isnan(without.at(counts[None])[0])
    assert image_difference.cache_info().maxsize, "rows are held against each other once"
