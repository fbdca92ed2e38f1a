"""The results that ship with the official COCO API (cocoapi/results) score as its authors printed.

Needed in `../shared/data/coco_fake100` or $COCO_FAKE100: the three fake*100 result files and the ground
truth of their 100 images, instances_val2014_100.json (and person_keypoints_val2014_100.json). Skipped where
they are not.
"""

import json
import os
from pathlib import Path

import pytest

from tests.conftest import SAMPLES, blank_image
from transfer.datasets.registry import load_dataset
from transfer.evaluation.coco.backends import BACKENDS
from transfer.evaluation.coco.detections import detections
from transfer.evaluation.coco.metric import evaluate_coco
from transfer.evaluation.evaluate import read_predictions

FOLDERS = [os.environ.get("COCO_FAKE100", ""), str(SAMPLES / "coco_fake100")]
# cocoapi/results/val2014_fake_eval_res.txt
CASES = {
    "bbox": ("coco_2014_val", "instances_val2014", "instances_val2014_fakebbox100_results.json",
             (0.505, 0.697, 0.573, 0.586, 0.519, 0.501, 0.387, 0.594, 0.595, 0.640, 0.566, 0.564)),
    "segm": ("coco_2014_val", "instances_val2014", "instances_val2014_fakesegm100_results.json",
             (0.320, 0.562, 0.299, 0.387, 0.310, 0.327, 0.268, 0.415, 0.417, 0.469, 0.377, 0.381)),
    "keypoints": ("keypoints_coco_2014_val", "person_keypoints_val2014",
                  "person_keypoints_val2014_fakekeypoints100_results.json",
                  (0.372, 0.636, 0.348, 0.384, 0.386, 0.514, 0.734, 0.504, 0.508, 0.522)),
}  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("task", CASES)
def test_official_fake_results(tmp_path, task, backend):
    name, stem, results, printed = CASES[task]
    pytest.importorskip(backend)
    folder = next((Path(f) for f in FOLDERS if f and (Path(f) / f"{stem}_100.json").is_file()), None)
    if folder is None:
        pytest.skip(f"{stem}_100.json is in neither $COCO_FAKE100 nor ../shared/data/coco_fake100")
    truth = folder / f"{stem}_100.json"
    (tmp_path / "coco/annotations").mkdir(parents=True)
    (tmp_path / "coco/val2014").mkdir()
    (tmp_path / f"coco/annotations/{stem}.json").symlink_to(truth)
    for image in json.loads(truth.read_text())["images"]:
        blank_image(tmp_path / "coco/val2014" / image["file_name"])
    dataset = load_dataset(name, tmp_path)
    predictions = read_predictions(dataset, folder / results)
    found = detections(dataset, predictions)
    stats, _ = BACKENDS[backend](dataset.ground_truth, found, task)
    assert [f"{v:.3f}" for v in stats] == [f"{v:.3f}" for v in printed]
    assert evaluate_coco(dataset, predictions, backend).summary[task]["AP"] == pytest.approx(100 * stats[0])
