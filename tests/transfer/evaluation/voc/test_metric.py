"""The VOC metric against a slow oracle, Detectron2's evaluator (live and stored), and hand-made cases."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.transfer.datasets.data_kits import write_voc
from tests.transfer.evaluation import voc_oracle
from tests.transfer.evaluation.voc_scenes import make_scene
from transfer.datasets.registry import load_dataset
from transfer.errors import DataError
from transfer.evaluation.evaluate import evaluate, read_predictions, write_predictions
from transfer.evaluation.prediction import Prediction

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "voc.json").read_text())


def truth_as_predictions(dataset):
    return [
        Prediction(
            r["image_id"],
            np.array([a["bbox"] for a in r["annotations"]], np.float32).reshape(-1, 4),
            np.full(len(r["annotations"]), 0.9, np.float32),
            np.array([a["category_id"] for a in r["annotations"]], np.int64),
        )
        for r in dataset.records
    ]


@pytest.mark.parametrize("year", [2007, 2012])
@pytest.mark.parametrize("seed", range(10, 16))
def test_equals_slow_oracle_exactly(tmp_path, seed, year):
    dataset, predictions = make_scene(tmp_path, seed, year, images=15, classes=6)
    assert evaluate(dataset, predictions).summary["bbox"] == voc_oracle.evaluate(
        dataset, predictions, year == 2007
    )


def test_equals_slow_oracle_with_tied_scores_and_unrounded_boxes(tmp_path):
    dataset, predictions = make_scene(tmp_path, 3, 2012, images=25, classes=3)
    rng = np.random.RandomState(0)
    for p in predictions:
        p.scores = rng.choice(np.array([0.1, 0.5, 0.9], np.float32), len(p.scores))
        p.boxes = p.boxes + rng.uniform(-0.4, 0.4, p.boxes.shape).astype(np.float32)
    assert evaluate(dataset, predictions).summary["bbox"] == voc_oracle.evaluate(dataset, predictions, False)


@pytest.mark.parametrize("case", sorted(GOLDEN))
def test_equals_stored_detectron2_numbers(tmp_path, case):
    year, seed = map(int, case.split("-"))
    got = evaluate(*make_scene(tmp_path, seed, year)).summary["bbox"]
    assert got == pytest.approx(GOLDEN[case], abs=1e-9)


@pytest.mark.detectron2
@pytest.mark.parametrize("year", [2007, 2012])
@pytest.mark.parametrize("seed", range(20, 23))
def test_equals_detectron2_live(tmp_path, seed, year):
    pytest.importorskip("detectron2")
    from tests.transfer.evaluation.d2_oracle import voc_evaluate

    dataset, predictions = make_scene(tmp_path, seed, year)
    expected = voc_evaluate(dataset, predictions)
    assert evaluate(dataset, predictions).summary["bbox"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("year", [2007, 2012])
def test_truth_as_predictions_is_perfect(tmp_path, year):
    dataset, _ = make_scene(tmp_path, 1, year)
    assert set(evaluate(dataset, truth_as_predictions(dataset)).summary["bbox"].values()) == {100.0}


def test_no_predictions_is_zero_and_absent_classes_are_nan(tmp_path):
    write_voc(tmp_path, {"a": (100, 100, [("dog", 10, 10, 50, 50, 0), ("cat", 1, 1, 9, 9, 1)])})
    dataset = load_dataset("voc_2007_test", tmp_path)
    assert evaluate(dataset, []).summary["bbox"] == {"AP": 0.0, "AP50": 0.0, "AP75": 0.0}
    per_class = evaluate(dataset, truth_as_predictions(dataset)).per_class["bbox"]["AP50"]
    assert per_class["dog"] == 100.0
    assert math.isnan(per_class["cat"])  # only a difficult one: nothing to find
    assert math.isnan(per_class["bus"])


def test_nothing_to_find_at_all_is_nan(tmp_path):
    write_voc(tmp_path, {"a": (100, 100, [])})
    assert all(
        math.isnan(v) for v in evaluate(load_dataset("voc_2007_test", tmp_path), []).summary["bbox"].values()
    )


def test_hand_made_cases(tmp_path):
    dogs = [("dog", 11, 11, 50, 50, 0), ("dog", 61, 61, 90, 90, 1)]
    write_voc(tmp_path, {"a": (100, 100, dogs)}, 2012, "val")
    dataset = load_dataset("voc_2012_val", tmp_path)
    truth, difficult = [10, 10, 50, 50], [60, 60, 90, 90]

    def ap50(*rows):
        boxes = np.array([r[:4] for r in rows], np.float32)
        scores = np.array([r[4] for r in rows], np.float32)
        return evaluate(dataset, [Prediction("a", boxes, scores, np.full(len(rows), 11))]).summary["bbox"][
            "AP50"
        ]

    assert ap50([*truth, 0.5]) == 100.0
    assert ap50([*truth, 0.5], [*truth, 0.4]) == 100.0  # a double after the hit costs no area
    assert ap50([0, 0, 5, 5, 0.9], [*truth, 0.5]) == 50.0  # a miss before it does
    assert ap50([*difficult, 0.9], [*truth, 0.5]) == 100.0  # a difficult one is neither
    assert ap50([10, 10, 50, 30, 0.9]) == 0.0  # an overlap of exactly one half is not greater than it


def test_written_files_read_back_to_the_same_number(tmp_path):
    dataset, predictions = make_scene(tmp_path, 5, 2007)
    rng = np.random.RandomState(1)
    for p in predictions:
        p.boxes = p.boxes + rng.uniform(-1, 1, p.boxes.shape).astype(np.float32)
    out = tmp_path / "out"
    write_predictions(dataset, predictions, out)
    assert len(list(out.iterdir())) == 20
    first = (out / "comp4_det_test_person.txt").read_text().splitlines()[0].split()
    assert len(first) == 6
    again = read_predictions(dataset, out)
    assert evaluate(dataset, again).summary == evaluate(dataset, predictions).summary
    assert sum(map(len, again)) == sum(map(len, predictions))


def test_corners_on_disk_count_from_one(tmp_path):
    write_voc(tmp_path, {"a": (100, 100, [("dog", 1, 1, 50, 50, 0)])})
    dataset = load_dataset("voc_2007_test", tmp_path)
    write_predictions(dataset, truth_as_predictions(dataset), tmp_path / "out")
    line = (tmp_path / "out" / "comp4_det_test_dog.txt").read_text().split()
    assert line[0] == "a"
    assert [float(v) for v in line[2:]] == [1, 1, 50, 50]


BAD = {
    "unknown image": (Prediction("zzz"), "no such image"),
    "NaN box": (Prediction("a", np.array([[0, 0, np.nan, 1]]), np.array([0.5]), np.array([0])), "NaN"),
    "infinite score": (Prediction("a", np.zeros((1, 4)), np.array([np.inf]), np.array([0])), "infinite"),
    "class beyond": (Prediction("a", np.zeros((1, 4)), np.array([0.5]), np.array([20])), "expected 0..19"),
    "negative class": (Prediction("a", np.zeros((1, 4)), np.array([0.5]), np.array([-1])), "expected 0..19"),
    "lengths": (Prediction("a", np.zeros((2, 4)), np.array([0.5]), np.array([0])), "expected (N, 4)"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_predictions_are_refused(tmp_path, case):
    write_voc(tmp_path, {"a": (100, 100, [("dog", 1, 1, 50, 50, 0)])})
    prediction, message = BAD[case]
    with pytest.raises(DataError, match="(?s)" + message.replace("(", r"\(").replace(")", r"\)")):
        evaluate(load_dataset("voc_2007_test", tmp_path), [prediction])


def test_two_predictions_of_one_image_are_refused(tmp_path):
    write_voc(tmp_path, {"a": (100, 100, [("dog", 1, 1, 50, 50, 0)])})
    with pytest.raises(DataError, match="given twice"):
        evaluate(load_dataset("voc_2007_test", tmp_path), [Prediction("a"), Prediction("a")])


@pytest.mark.parametrize("content", ["a 0.5 1 2 3", "a 0.5 1 2 3 x", "a"])
def test_bad_line_in_a_detection_file_is_named(tmp_path, content):
    write_voc(tmp_path, {"a": (100, 100, [("dog", 1, 1, 50, 50, 0)])})
    dataset = load_dataset("voc_2007_test", tmp_path)
    write_predictions(dataset, [], tmp_path / "out")
    (tmp_path / "out" / "comp4_det_test_cow.txt").write_text("a 0.1 1 1 2 2\n" + content + "\n")
    with pytest.raises(DataError, match="comp4_det_test_cow.txt: line 2"):
        read_predictions(dataset, tmp_path / "out")


def test_missing_detection_files_are_named(tmp_path):
    write_voc(tmp_path, {"a": (100, 100, [("dog", 1, 1, 50, 50, 0)])})
    with pytest.raises(DataError, match="20 of 20 class files are missing"):
        read_predictions(load_dataset("voc_2007_test", tmp_path), tmp_path)


def test_real_sample_scores_perfectly_against_itself(samples):
    dataset = load_dataset("voc_2012_val", samples / "voc2012_det100")
    assert evaluate(dataset, truth_as_predictions(dataset)).summary["bbox"]["AP"] == 100.0
