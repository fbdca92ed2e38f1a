"""Both LVIS backends equal the lvis package, run whole, to the last bit on a thousand random scenes."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from tests.transfer.evaluation.coco import lvis_oracle, scenes
from transfer.evaluation.coco.backends import available
from transfer.evaluation.coco.detections import detections
from transfer.evaluation.coco.lvis import evaluate_lvis, judged
from transfer.evaluation.coco.lvis_backends import BACKENDS
from transfer.evaluation.names import LVIS as NAMES

SCENES, CHUNKS = 600, 10  # each for boxes and for masks
MANY = 30  # one scene in so many has more than 300 detections an image
TASKS = ("bbox", "segm")


def scene(seed: int):
    """Rare, common and frequent classes, known absent ones, incomplete ones, ties, things without area."""
    rng = np.random.RandomState(seed)
    many = 330 * (seed % MANY == 0)
    doc = scenes.document(rng, "bbox", images=rng.randint(1, 5), categories=rng.randint(1, 7), lvis=True)
    for a in doc["annotations"]:
        if rng.rand() < 0.04:
            a["area"] = 0.0
    predictions = scenes.predictions(rng, doc, TASKS, many)
    for p in predictions:
        flat = rng.rand(len(p)) < 0.04
        p.boxes[flat, 2] = p.boxes[flat, 0]
        p.masks = [scenes._mask(b) for b in p.boxes]
    return scenes.dataset(doc, TASKS, "lvis"), predictions


def assert_classes(per_class, table) -> None:
    for key, rows in (("AP", table), ("AP50", table[:1]), ("AP75", table[5:6])):
        cells = [rows[:, :, k, 0] for k in range(table.shape[2])]
        means = [100.0 * float(c[c > -1].mean()) if (c > -1).any() else np.nan for c in cells]
        np.testing.assert_equal(list(per_class[key].values()), means)


def percent(value) -> float:
    return np.nan if value < 0 else 100.0 * float(value)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_equals_the_lvis_package(chunk):
    pytest.importorskip("hotcoco")
    size = SCENES // CHUNKS
    defined, seen = 0, set()
    for seed in range(chunk * size, (chunk + 1) * size):
        data, predictions = scene(seed)
        scores = {name: evaluate_lvis(data, predictions, name) for name in BACKENDS}
        for task in TASKS:
            theirs = lvis_oracle.run(data, predictions, task)
            table = theirs.eval["precision"]
            found = judged(detections(data, predictions), task)
            expected = {name: percent(theirs.results[name]) for name in NAMES}
            for name, backend in BACKENDS.items():
                assert np.array_equal(backend(data.ground_truth, *found, task), table), (name, task, seed)
                np.testing.assert_equal(scores[name].summary[task], expected, err_msg=f"{name} {seed}")
                assert_classes(scores[name].per_class[task], table)
            defined += 0 < theirs.results["AP"] < 1
            seen |= {name for name, value in expected.items() if value > 0}
    assert defined > size // 2  # the scenes are neither empty nor perfect
    assert seen == set(NAMES)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_detections(backend):
    pytest.importorskip(backend)
    data, predictions = scene(3)
    for nothing in ([], [p for p in predictions if not len(p)]):
        for task in evaluate_lvis(data, nothing, backend).summary:
            expected = {n: percent(v) for n, v in lvis_oracle.run(data, nothing, task).results.items()}
            got = evaluate_lvis(data, nothing, backend).summary[task]
            np.testing.assert_equal(got, {name: expected[name] for name in NAMES})


def test_the_fastest_installed_backend_is_taken():
    names = available(BACKENDS)
    assert names == [n for n in ("hotcoco", "lvis") if importlib.util.find_spec(n)]
    assert "lvis" in names


def test_only_the_best_300_of_an_image_count():
    data, predictions = scene(0)
    found = detections(data, predictions)
    assert max(len(p) for p in predictions) >= 330
    kept, area = judged(found, "bbox")
    assert np.unique(kept.image_id, return_counts=True)[1].max() <= 300
    assert (area > 0).all()
    for p in predictions:
        mine = kept.score[kept.image_id == p.image_id]
        if len(p) > 300:
            assert mine.min() >= np.sort(p.scores)[::-1][299]
            assert (np.diff(mine) <= 0).all()
