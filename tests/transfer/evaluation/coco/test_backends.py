"""The fast COCO backends equal pycocotools to the last bit on thousands of random scenes."""

import importlib.util

import numpy as np
import pytest

from tests.transfer.evaluation.coco import scenes
from transfer.evaluation.coco.backends import BACKENDS, available
from transfer.evaluation.coco.detections import detections
from transfer.evaluation.coco.metric import evaluate_coco

# task -> scenes; 2,100 in all
SCENES = {"bbox": 1300, "segm": 500, "keypoints": 300}
CHUNKS = 10
MANY = 40  # one scene in so many has more than 100 detections an image


def random_scenes(task, numbers):
    for seed in numbers:
        rng = np.random.RandomState(seed)
        doc = scenes.document(rng, task, images=rng.randint(1, 3), categories=rng.randint(1, 4))
        tasks = ("bbox", task) if task != "bbox" else ("bbox",)
        data = scenes.dataset(doc, tasks)
        yield seed, data, scenes.predictions(rng, doc, tasks, many=130 * (seed % MANY == 0))


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("task", SCENES)
def test_hotcoco_equals_pycocotools(task, chunk):
    pytest.importorskip("hotcoco")
    size = SCENES[task] // CHUNKS
    defined = 0
    for seed, data, predictions in random_scenes(task, range(chunk * size, (chunk + 1) * size)):
        found = detections(data, predictions)
        expected, table = BACKENDS["pycocotools"](data.ground_truth, found, task)
        stats, precision = BACKENDS["hotcoco"](data.ground_truth, found, task)
        assert stats.tolist() == expected.tolist(), (task, seed)
        assert np.array_equal(precision, table), (task, seed)
        defined += 0 < expected[0] < 1
    assert defined > size // 3  # the scenes are neither empty nor perfect


def test_the_fastest_installed_backend_is_taken():
    names = available(BACKENDS)
    assert "pycocotools" in names
    assert names == [n for n in ("hotcoco", "pycocotools") if importlib.util.find_spec(n)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_detections(backend):
    pytest.importorskip(backend)
    rng = np.random.RandomState(5)
    doc = scenes.document(rng, "segm", images=4)
    data = scenes.dataset(doc, ("bbox", "segm"))
    for predictions in ([], [p for p in scenes.predictions(rng, doc, ("bbox", "segm")) if not len(p)]):
        scores = evaluate_coco(data, predictions, backend)
        assert scores.summary["bbox"]["AP"] == 0.0
        per_class = scores.per_class["bbox"]["AP"]
        assert np.isnan(per_class[data.metadata["thing_classes"][-1]])  # nothing to find


@pytest.mark.parametrize("backend", BACKENDS)
def test_per_class_means_make_the_whole(backend):
    pytest.importorskip(backend)
    rng = np.random.RandomState(8)
    doc = scenes.document(rng, "bbox", images=6)
    data, predictions = scenes.dataset(doc, ("bbox",)), scenes.predictions(rng, doc, ("bbox",))
    whole, parts = evaluate_coco(data, predictions, backend)
    for key in ("AP", "AP50", "AP75"):
        assert np.nanmean(list(parts["bbox"][key].values())) == pytest.approx(whole["bbox"][key])
