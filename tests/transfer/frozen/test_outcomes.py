"""An SVM keeps enough of each image to give its two numbers again, on all and on any sample of them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.images.file import AnyMeasure, Outcomes, read_outcomes
from transfer.evaluation.per_image import save_outcomes
from transfer.frozen.outcomes import ranked
from transfer.probes.average_precision import area_ap, eleven_point_ap

N, CLASSES = 60, 3
RULES = {"svm/mAP": area_ap, "svm/mAP11": eleven_point_ap}


def _drawn() -> tuple[np.ndarray, np.ndarray]:
    """Targets with difficult images, and scores of which many are equal."""
    rng = np.random.default_rng(0)
    targets = rng.choice([-1, 0, 1], (N, CLASSES), p=[0.1, 0.6, 0.3])
    return targets, np.round(rng.standard_normal((N, CLASSES)) + 0.7 * targets, 1)


def _slow(rule: Any, targets: np.ndarray, scores: np.ndarray, images: np.ndarray) -> float:
    """Per cent, class by class on the images as they were drawn, copies side by side."""
    t, s = targets[images], scores[images]
    return 100 * float(np.mean([rule(s[c >= 0, k], c[c >= 0] == 1) for k, c in enumerate(t.T)]))


def _read(path: Path) -> Outcomes:
    targets, scores = _drawn()
    save_outcomes(ranked("svm", targets, scores)([f"i{number}" for number in range(N)]), path)
    return read_outcomes(path, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("metric", list(RULES))
def test_the_number_comes_again_on_all_images_and_on_samples(tmp_path: Path, metric: str) -> None:
    measure = _read(tmp_path / "per_image.npz").measure(metric)
    assert measure is not None
    targets, scores = _drawn()
    assert measure.value() == pytest.approx(_slow(RULES[metric], targets, scores, np.arange(N)), abs=1e-9)
    rng = np.random.default_rng(1)
    for _ in range(5):
        images = np.sort(rng.integers(0, N, N))
        counts = np.bincount(images, minlength=N).astype(np.int32)[None]
        expected = _slow(RULES[metric], targets, scores, images)
        assert float(_at(measure, counts)[0]) == pytest.approx(expected, abs=1e-9)


def _at(measure: AnyMeasure, counts: np.ndarray) -> np.ndarray:
    return measure.at(counts)  # type: ignore[union-attr]


def test_a_difficult_image_is_ranked_for_the_other_classes_alone() -> None:
    targets = np.array([[1, -1], [0, 1], [-1, 0]])
    kept = ranked("svm", targets, np.array([[3.0, 9.0], [2.0, 1.0], [8.0, 2.0]]))(["a", "b", "c"])
    assert kept.arrays["svm.edges"].tolist() == [0, 2, 4]
    assert kept.arrays["svm.image"].tolist() == [0, 1, 2, 1]
    assert kept.arrays["svm.hit"].tolist() == [1, 0, 0, 1]
    assert kept.arrays["svm.truth_image"].tolist() == [0, 1]
