"""The dial: what a probe can see rises with the quality of drawn features, and is chance at zero."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from transfer.datasets.image_list.own import define_labelled, load_own
from transfer.datasets.synthetic.dial import Dial, draw_image_set

QUALITIES = (0.0, 1.5, 2.5, 4.0)


def _nearest_mean(dial: Dial, train: int = 400, test: int = 800) -> float:
    """Accuracy of the nearest mean of the training features, a probe that needs no choice."""
    fit, exam = dial.draw(train, 0), dial.draw(test, 1)
    means = np.stack([fit.x[fit.y == c].mean(0) for c in range(dial.classes)])
    distances = ((exam.x[:, None] - means) ** 2).sum(-1)
    return float((distances.argmin(1) == exam.y).mean())


def test_a_probe_rises_with_the_quality_up_to_what_is_known() -> None:
    dials = [Dial(q, classes=10, dimensions=32) for q in QUALITIES]
    found, best = [_nearest_mean(dial) for dial in dials], [dial.best_accuracy() for dial in dials]
    assert (np.diff(found) > 0.05).all(), found
    assert (np.diff(best) > 0.05).all(), best
    error = 3 * np.sqrt(0.25 / 800)
    assert all(score < known + error for score, known in zip(found, best, strict=True)), (found, best)
    assert abs(found[0] - 0.1) < 3 * np.sqrt(0.09 / 800), "chance"
    assert best[0] == 0.1


def test_two_classes_have_a_known_best() -> None:
    """By hand: orthogonal centres of length q lie q sqrt(2) apart, half of which is the limit."""
    from scipy.stats import norm

    best = Dial(1.2, classes=2, dimensions=8).best_accuracy(200_000)
    assert abs(best - norm.cdf(1.2 / np.sqrt(2))) < 0.004


def test_the_same_dial_draws_the_same() -> None:
    dial = Dial(1.0, classes=5, dimensions=8, seed=3)
    assert np.array_equal(dial.draw(20, 0).x, dial.draw(20, 0).x)
    assert not np.array_equal(dial.draw(20, 0).x, dial.draw(20, 1).x)
    assert not np.array_equal(dial.draw(20, 0).x, Dial(1.0, 5, 8, seed=4).draw(20, 0).x)
    assert np.bincount(dial.draw(20, 0).y).tolist() == [4] * 5


def test_shuffled_labels_are_chance() -> None:
    dial = Dial(4.0, classes=10, dimensions=32)
    fit, exam = dial.draw(400, 0), dial.draw(800, 1)
    y = np.random.default_rng(0).permutation(fit.y)
    means = np.stack([fit.x[y == c].mean(0) for c in range(10)])
    score = (((exam.x[:, None] - means) ** 2).sum(-1).argmin(1) == exam.y).mean()
    assert abs(score - 0.1) < 0.06


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    for clarity in (0.0, 1.0):
        draw_image_set(root / str(clarity), clarity, classes=3, train=10, test=10, side=32)
    return root


def test_drawn_images_are_a_set_of_ones_own(drawn: Path) -> None:
    own = define_labelled("drawn", {"format": "labelled", "folder": "1.0"}, drawn / "suite.yaml")
    task = load_own(own)
    assert task.classes == ("dots", "rings", "stripes")
    assert task.summary["images"]["test"] == 30
    draw_image_set(drawn / "again", 1.0, classes=3, train=10, test=10, side=32)
    again = define_labelled("drawn", {"format": "labelled", "folder": "again"}, drawn / "suite.yaml")
    assert load_own(again).summary["sha256"] == task.summary["sha256"]
    assert task.summary["warnings"] == []


def test_drawn_images_show_their_class_as_clearly_as_asked(drawn: Path) -> None:
    """A texture is known by its spectrum, whatever its colours and place."""
    from PIL import Image

    scores = {}
    for clarity in ("0.0", "1.0"):
        parts = {}
        for part in ("train", "test"):
            paths = sorted((drawn / clarity / part).rglob("*.png"))
            grey = np.stack([np.asarray(Image.open(path).convert("L"), float) for path in paths])
            grey -= grey.mean((1, 2), keepdims=True)
            power = np.abs(np.fft.rfft2(grey))[:, :8, :8].reshape(len(paths), -1)
            x = power / np.linalg.norm(power, axis=1, keepdims=True)
            parts[part] = x, np.array([path.parent.name for path in paths])
        (fit, y), (exam, truth) = parts["train"], parts["test"]
        names = np.unique(y)
        means = np.stack([fit[y == name].mean(0) for name in names])
        scores[clarity] = (names[(exam @ means.T).argmax(1)] == truth).mean()
    assert scores["1.0"] > 0.8
    assert scores["0.0"] < 0.65
