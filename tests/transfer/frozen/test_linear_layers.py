"""Linear layers on crops of images: trained once, gone on with after a stop, chosen on held-out images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.transfer.frozen.kit import work
from transfer.datasets.image_list.images import Images, open_image
from transfer.datasets.image_list.own import OwnLabelled, load_own
from transfer.datasets.image_list.parts import Learnable, Task
from transfer.errors import TransferError
from transfer.frozen import linear
from transfer.frozen.crops import augmented, window
from transfer.frozen.heads import Head
from transfer.frozen.shifted import linear_step
from transfer.frozen.view import Seen
from transfer.frozen.work import Work
from transfer.recipes.resolve import load_recipe

COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))
SEEN: list[int] = []  # images that went through the network in a step of training


class Means(torch.nn.Module):
    """(N, S, S, 3) -> (N, 3), the mean colour."""

    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        SEEN.append(len(images))
        return images.float().mean((1, 2)) / 64 - 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of a colour each, in noise."""
    root = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    for part, count in (("train", 10), ("test", 6)):
        for name, colour in zip("abc", COLOURS, strict=True):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(np.array(colour) + rng.normal(0, 60, (20, 24, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{i}.png")
    return root


def _task(folder: Path) -> Task:
    parts = {part: folder / part for part in ("train", "test")}
    return load_own(OwnLabelled("colours", parts, None, "top1", folder))


def _work(heads: Path, seed: int = 0, **keys: Any) -> Work:
    small = {"EPOCHS": 4, "BATCH_SIZE": 8, "RATES": [1e-6, 0.5]} | keys
    overrides = [(f"PROBE.LINEAR.{key}", value) for key, value in small.items()]
    sizes = [("FEATURES.RESIZE", 16), ("FEATURES.CROP", 16), ("FEATURES.BATCH_SIZE", 5)]
    cfg, net = load_recipe("linear", [*overrides, *sizes]), Means()

    def features(images: Images, view: Seen | None) -> np.ndarray:
        seen = [done.view.seen(open_image(p), i) for p, i in zip(images.places, images.ids, strict=True)]
        with torch.no_grad():
            found: np.ndarray = net(torch.from_numpy(np.stack(seen))).numpy()
        return found

    done = work(cfg, features, net, heads, seed)
    return done


def _trained(done: Work, task: Task) -> Head:
    SEEN.clear()
    found = linear.trained(done, task)
    assert found is not None
    return found


def test_colours_are_learned_and_the_rate_is_chosen_on_held_out_images(folder: Path, tmp_path: Path) -> None:
    task = _task(folder)
    done = linear_step(_work(tmp_path), task, task)()
    assert done.result.metrics["linear"]["top1"] > 90
    told = done.result.told
    assert told["rate"] == 0.5
    assert told["held_out"][1] > told["held_out"][0]
    assert told["at_edge_of_grid"] is True
    assert told["steps"] == 4 * (24 // 8)
    assert done.result.outcomes is not None
    kept = done.result.outcomes(done.ids)
    assert kept.metrics == {"linear/top1": {"kind": "right", "of": "linear"}}


def test_shuffled_labels_teach_nothing(folder: Path, tmp_path: Path) -> None:
    task = _task(folder)
    assert task.learn is not None
    fit = task.learn.fit
    wrong = replace(fit, labels=np.random.default_rng(3).permutation(fit.labels))
    other = replace(task, learn=Learnable(wrong, task.learn.held_out, "as before"))
    done = linear_step(_work(tmp_path), other, task)()
    assert done.result.metrics["linear"]["top1"] < 70


def test_a_second_suite_takes_them_and_a_stopped_run_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, x = _task(folder), torch.from_numpy(np.random.default_rng(0).standard_normal((5, 3)))
    whole = _trained(_work(tmp_path / "a"), task).scores(x)
    trained = sum(SEEN) - 1 - 6
    assert trained == 4 * 24, "one blank image for the width, six are held out"
    assert torch.equal(_trained(_work(tmp_path / "a"), task).scores(x), whole)
    assert sum(SEEN) - 1 - 6 == 0, "they are there"
    other = _trained(_work(tmp_path / "a", seed=1), task).scores(x)
    assert not torch.equal(other, whole)
    assert sum(SEEN) > 96

    calls = [0]
    epoch = linear._epoch

    def stops(*args: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return epoch(*args)

    monkeypatch.setattr(linear, "_epoch", stops)
    with pytest.raises(KeyboardInterrupt):
        linear.trained(_work(tmp_path / "b"), task)
    monkeypatch.setattr(linear, "_epoch", epoch)
    assert torch.equal(_trained(_work(tmp_path / "b"), task).scores(x), whole)
    assert sum(SEEN) - 1 - 6 == 2 * 24, "two epochs were kept"


def test_a_batch_has_an_image_for_each_process(folder: Path, tmp_path: Path) -> None:
    alone = _work(tmp_path)
    many = replace(alone, world=replace(alone.world, size=9))
    learn = _task(folder).learn
    assert learn is not None
    with pytest.raises(TransferError, match="8 images a batch for 9 processes; take fewer"):
        linear.descent(many, learn)


def test_crops_are_torchvisions_rule() -> None:
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    ours, theirs = [], []
    for _ in range(4000):
        left, top, right, bottom = window((60, 40), (0.08, 1.0), rng)
        assert 0 <= left < right <= 60
        assert 0 <= top < bottom <= 40
        ours.append((left, top, right - left, bottom - top))
        i, j, h, w = RandomResizedCrop.get_params(torch.zeros(3, 40, 60), [0.08, 1.0], [3 / 4, 4 / 3])
        theirs.append((j, i, w, h))
    mean, spread = np.mean(theirs, 0), np.std(theirs, 0)
    assert (np.abs(np.mean(ours, 0) - mean) < 5 * spread / np.sqrt(2000)).all()
    assert np.abs(np.std(ours, 0) - spread).max() < 0.6
    for size in ((300, 10), (10, 300)):  # where no draw fits
        i, j, h, w = RandomResizedCrop.get_params(torch.zeros(3, *size[::-1]), [0.9, 1.0], [3 / 4, 4 / 3])
        assert window(size, (0.9, 1.0), rng) == (j, i, j + w, i + h)


def test_a_crop_is_of_its_draw_alone() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8))
    made = [augmented(image, 16, "bicubic", (0.08, 1.0), np.random.default_rng([1, i])) for i in (0, 0, 1)]
    assert made[0].shape == (16, 16, 3)
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    whole = [augmented(image, 16, "bicubic", (0.999, 1.0), np.random.default_rng(i)) for i in range(20)]
    assert 1 < len({one.tobytes() for one in whole}) < 20, "as it is, mirrored, or a little less"
