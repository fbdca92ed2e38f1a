"""A head on other images than its own: only the set's classes compete, and errors are those of the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.transfer.frozen.kit import task, work
from transfer.datasets.corruptions.constants import NAMES
from transfer.datasets.image_list.images import Images
from transfer.datasets.synthetic.dial import Dial
from transfer.errors import DataError, TransferError
from transfer.frozen.shifted import corrupt_step, ood_step
from transfer.frozen.view import Corrupted, Seen
from transfer.frozen.work import Finished
from transfer.probes.robustness import ALEXNET, ALEXNET_CLEAN
from transfer.recipes.frozen import PROBES, exact, metrics_of_probe
from transfer.recipes.resolve import flatten, load_recipe

CLASSES = ("ant", "bee", "cat", "dog", "elk", "fox")
OTHERS = ("fox", "bee", "dog")  # in an order of their own
SHOWN = np.array([5, 1, 3])  # their numbers among CLASSES


def _cfg(name: str, **keys: Any) -> Any:
    return load_recipe(name, [(f"PROBE.{key}", value) for key, value in keys.items()])


def _ood(quality: float, head: str = "ridge", grid: int = 5) -> tuple[Finished, np.ndarray, np.ndarray]:
    """The result, and test features and labels by the numbers of all classes."""
    dial = Dial(quality, len(CLASSES), 16)
    train, test, clean = dial.draw(120, 0), dial.draw(300, 1), dial.draw(240, 2)
    rows = np.flatnonzero(np.isin(test.y, SHOWN))
    labels = np.argsort(SHOWN)[np.searchsorted(np.sort(SHOWN), test.y[rows])]  # by OTHERS
    known = {"home/train": train.x, "home/test": clean.x, "away/test": test.x[rows]}
    cfg = _cfg("ood", HEAD=head, GRID_SIZE=grid)
    step = ood_step(
        work(cfg, lambda images, view: known[images.name]),
        task("home", CLASSES, train.y, clean.y),
        task("away", OTHERS, np.array([]), labels),
    )
    return step(), test.x[rows], test.y[rows]


@pytest.mark.parametrize("head", ["ridge", "logreg"])
def test_only_the_classes_of_the_set_compete(head: str) -> None:
    done, x, y = _ood(1.0, head)
    numbers = done.result.metrics["ood"]
    assert set(numbers) == {"top1", "clean", "drop"}
    assert numbers["drop"] == pytest.approx(numbers["clean"] - numbers["top1"])
    assert done.result.outcomes is not None
    kept = done.result.outcomes(done.ids)
    predicted, labels = kept.arrays["ood.predicted"], kept.arrays["ood.label"]
    assert labels.tolist() == y.tolist()
    assert set(predicted.tolist()) == set(SHOWN.tolist()), "no other class is ever named"
    assert numbers["top1"] == pytest.approx(100 * (predicted == y).mean())
    known = Dial(1.0, len(CLASSES), 16).centres()[SHOWN]  # whoever knows the centres is near it
    ideal = 100 * (SHOWN[(x @ known.T).argmax(1)] == y).mean()
    assert ideal - 12 < numbers["top1"] <= ideal + 3


def test_chance_is_that_of_the_classes_that_compete() -> None:
    done, _, y = _ood(0.0)
    low, clean = done.result.metrics["ood"]["top1"], done.result.metrics["ood"]["clean"]
    assert len(y) == 150
    assert 20 < low < 45  # a third
    assert 18 < clean < 48
    middle, high = (_ood(q)[0].result.metrics["ood"]["top1"] for q in (1.0, 3.0))
    assert low < middle < high
    assert high > 90


def test_other_classes_and_a_set_without_training_images_are_refused() -> None:
    cfg, nothing = _cfg("ood", HEAD="ridge"), np.array([])
    home = task("home", CLASSES, np.arange(24) % 6, np.arange(6))
    ready = work(cfg, lambda images, view: np.ones((len(images), 3), np.float32) * np.arange(3))
    with pytest.raises(DataError, match="class gnu is none of the 6 classes that the head was fitted on"):
        ood_step(ready, home, task("away", ("ant", "gnu"), nothing, np.array([0, 1])))
    with pytest.raises(TransferError, match="away is only tested on; name a set that is trained on"):
        ood_step(ready, task("away", CLASSES, nothing, np.arange(6)), home)


def _corrupt(quality: float, metric: str, name: str = "mine") -> tuple[Finished, Any]:
    """Corruption adds noise by its severity, the first one none at all."""
    dial = Dial(quality, len(CLASSES), 16)
    train, test = dial.draw(120, 0), dial.draw(149, 1)  # of the last class one less
    noise = np.random.default_rng(5).standard_normal(test.x.shape).astype(np.float32)

    def features(images: Images, view: Seen | None) -> np.ndarray:
        if images.name.endswith("/train"):
            return train.x
        assert images.name == (f"{name}/test" if view is None else f"{name}, {_told(view)}")
        severity = view.severity if isinstance(view, Corrupted) else 0
        return test.x if view is None or _told(view).startswith(NAMES[0]) else test.x + severity * noise

    cfg = _cfg("corrupt", HEAD="ridge", GRID_SIZE=5)
    cfg.DATASETS.TEST = [name]
    done = corrupt_step(work(cfg, features), *[task(name, CLASSES, train.y, test.y, metric)] * 2)()
    return done, cfg


def _told(view: Any) -> str:
    return f"{view.name} {view.severity}"


@pytest.mark.parametrize("metric", ["top1", "mean_per_class"])
def test_the_mean_of_seventy_five_and_what_each_image_did(metric: str) -> None:
    from results.images.file import MEASURES

    done, cfg = _corrupt(2.0, metric)
    numbers, errors = done.result.metrics["corrupt"], done.result.told["errors"]
    assert [f"corrupt/{key}" for key in numbers] == metrics_of_probe(flatten(cfg), metric)[:4]
    assert list(errors) == list(NAMES)
    table = np.array(list(errors.values()))
    assert table.shape == (15, 5)
    assert table[0] == pytest.approx(100 - numbers["clean"]), "the first corruption did nothing"
    assert (np.diff(table[1:].mean(0)) > 0).all(), "more noise, more errors"
    assert numbers["error"] == pytest.approx(table.mean())
    assert numbers[metric] == pytest.approx(100 - table.mean())
    assert numbers["relative"] == pytest.approx(table.mean() - (100 - numbers["clean"]))
    assert done.result.outcomes is not None
    kept = done.result.outcomes(done.ids)
    told = kept.metrics[f"corrupt/{metric}"]
    parts = [kept.arrays[f"corrupt.{p}"] for p in (["value"] if metric == "top1" else ["value", "label"])]
    again = MEASURES[told["kind"]](149, "image", told, *parts)
    assert again.value() == pytest.approx(numbers[metric])


def test_on_imagenet_errors_are_in_units_of_alexnets() -> None:
    done, cfg = _corrupt(2.0, "top1", "imagenet")
    numbers, errors = done.result.metrics["corrupt"], done.result.told["errors"]
    assert [f"corrupt/{key}" for key in numbers] == metrics_of_probe(flatten(cfg), "top1")[:6]
    ratios = [sum(errors[name]) / sum(ALEXNET[name]) for name in NAMES]
    assert numbers["mCE"] == pytest.approx(100 * np.mean(ratios))
    above = [
        (sum(errors[n]) - 5 * (100 - numbers["clean"])) / (sum(ALEXNET[n]) - 5 * ALEXNET_CLEAN) for n in NAMES
    ]
    assert numbers["relative_mCE"] == pytest.approx(100 * np.mean(above))


def test_corruption_of_nothing_is_chance() -> None:
    low, middle, high = (_corrupt(q, "top1")[0].result.metrics["corrupt"]["top1"] for q in (0.0, 1.5, 4.0))
    assert low < 100 / 6 + 8 < middle < high


def test_a_corrupted_view_is_of_its_image_alone() -> None:
    from PIL import Image

    from transfer.datasets.corruptions.corrupt import corrupt
    from transfer.frozen.view import View

    pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    view = View(32, 32)
    seen = Corrupted(view, "gaussian_noise", 3)
    image = Image.fromarray(pixels)
    expected = corrupt(Image.fromarray(view(image)), "gaussian_noise", 3, "a")
    assert np.array_equal(seen.seen(image, "a"), np.asarray(expected))
    assert not np.array_equal(seen.seen(image, "a"), seen.seen(image, "b"))
    facts = [Corrupted(view, n, s).facts() for n in ("fog", "frost") for s in (1, 2)] + [view.facts()]
    assert len({repr(sorted(one.items())) for one in facts}) == 5
    assert "corruption" not in view.facts(), "features of clean images keep their key"
    assert torch.from_numpy(seen.seen(image, "a").copy()).shape == (32, 32, 3)


def test_a_head_without_draws_is_exact_on_other_images_too() -> None:
    assert [name for name in PROBES if not exact(name, "ridge")] == ["linear"]
    assert [name for name in PROBES if not exact(name, "linear")] == ["linear", "ood", "corrupt"]
