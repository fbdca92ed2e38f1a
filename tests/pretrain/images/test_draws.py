"""Random numbers: functions of (seed, epoch, index), distributed as those of the published transforms."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torchvision import transforms

from pretrain.images.draws import (
    NUMBERS_PER_VIEW,
    _uniform,
    draw_views,
    generator,
    sample_order,
    step_seed,
)
from pretrain.images.recipes import RECIPES

HEIGHT, WIDTH, COUNT = 90, 120, 4000


def test_an_images_numbers_do_not_depend_on_those_before() -> None:
    """They are the generator's own, whatever the thread drew last; files made before stay reproducible."""
    for seed, epoch, index, views in [(0, 0, 0, 2), (7, 3, 2**40, 1), (2**31, 199, 5, 3), (0, 0, 0, 2)]:
        expected = generator(seed, epoch, index).random((views, NUMBERS_PER_VIEW))
        assert (_uniform(seed, epoch, index, views) == expected).all()
    alone = draw_views(1, 2, 3, HEIGHT, WIDTH, [RECIPES["v2"]] * 2)
    draw_views(1, 2, 4, HEIGHT, WIDTH, [RECIPES["v2"]])
    with ThreadPoolExecutor(4) as pool:
        again = pool.map(lambda _: draw_views(1, 2, 3, HEIGHT, WIDTH, [RECIPES["v2"]] * 2), range(50))
    assert all(views == alone for views in again)


def same_distribution(ours: list[float], theirs: list[float]) -> bool:
    """Two-sample Kolmogorov-Smirnov test at one in a thousand."""
    values = np.sort(np.concatenate([ours, theirs]))
    shares = [
        np.searchsorted(np.sort(sample), values, side="right") / len(sample) for sample in (ours, theirs)
    ]
    return np.abs(shares[0] - shares[1]).max() < 1.95 * (1 / len(ours) + 1 / len(theirs)) ** 0.5


def ours(name: str = "v2") -> list:
    return [
        view for i in range(COUNT // 2) for view in draw_views(1, 2, i, HEIGHT, WIDTH, [RECIPES[name]] * 2)
    ]


def test_crops_are_torchvisions() -> None:
    torch.manual_seed(0)
    image = torch.zeros(3, HEIGHT, WIDTH)
    expected = [
        transforms.RandomResizedCrop.get_params(image, (0.2, 1.0), (3 / 4, 4 / 3)) for _ in range(COUNT)
    ]
    boxes = [view.box for view in ours()]
    for column in range(4):  # top, left, height, width
        assert same_distribution([b[column] for b in boxes], [b[column] for b in expected])
    assert same_distribution([b[2] * b[3] for b in boxes], [b[2] * b[3] for b in expected])


def test_crop_of_an_extreme_image() -> None:
    """Ten misses fall back to the centre, as torchvision does."""
    views = [draw_views(0, 0, i, 10, 400, [RECIPES["v2"]])[0].box for i in range(50)]
    assert (0, 193, 10, 13) in views
    assert all(h <= 10 and w <= 400 and top + h <= 10 and left + w <= 400 for top, left, h, w in views)


def test_jitter_is_torchvisions() -> None:
    torch.manual_seed(0)
    jitter = transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)
    expected = [
        transforms.ColorJitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
        for _ in range(COUNT)
    ]
    views = [view for view in ours() if view.jitter]
    for operation in range(4):
        mine = [dict(view.jitter)[operation] for view in views]
        assert same_distribution(mine, [params[1 + operation] for params in expected])
    orders = [tuple(operation for operation, _ in view.jitter) for view in views]
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 24  # every order of the four operations, equally often
    assert (
        (counts - counts.mean()) ** 2
    ).sum() / counts.mean() < 49.7  # chi-square of 23 degrees at one in 1000


def test_probabilities_and_blur() -> None:
    views = ours()
    for share, p in [
        (np.mean([view.flip for view in views]), 0.5),
        (np.mean([view.gray for view in views]), 0.2),
        (np.mean([bool(view.jitter) for view in views]), 0.8),
        (np.mean([view.sigma > 0 for view in views]), 0.5),
    ]:
        assert abs(share - p) < 4 * (p * (1 - p) / COUNT) ** 0.5
    random.seed(0)
    expected = [random.uniform(0.1, 2.0) for _ in range(COUNT)]  # MoCo's GaussianBlur draws so
    assert same_distribution([view.sigma for view in views if view.sigma], expected)


def test_v1_always_jitters_and_never_blurs() -> None:
    views = ours("v1")
    assert all(view.jitter and not view.sigma for view in views)
    assert max(abs(dict(view.jitter)[3]) for view in views) > 0.35  # hue up to 0.4


def test_views_and_neighbours_are_independent() -> None:
    pairs = [draw_views(0, 0, i, HEIGHT, WIDTH, [RECIPES["v2"]] * 2) for i in range(1000)]
    heights = np.array([[view.box[2] for view in pair] for pair in pairs])
    assert abs(np.corrcoef(heights[:, 0], heights[:, 1])[0, 1]) < 0.13
    assert abs(np.corrcoef(heights[:-1, 0], heights[1:, 0])[0, 1]) < 0.13


def test_pure_functions_of_seed_epoch_index() -> None:
    v1, v2 = RECIPES["v1"], RECIPES["v2"]
    first = draw_views(3, 4, 5, HEIGHT, WIDTH, [v2, v2])
    assert first == draw_views(3, 4, 5, HEIGHT, WIDTH, [v2, v2])
    assert first[:1] == draw_views(3, 4, 5, HEIGHT, WIDTH, [v2])
    assert first[1:] == draw_views(3, 4, 5, HEIGHT, WIDTH, [v1, v2])[1:]  # whatever the other's recipe
    for other in [(2, 4, 5), (3, 5, 5), (3, 4, 6)]:
        assert first != draw_views(*other, HEIGHT, WIDTH, [v2, v2])
    assert sorted(sample_order(0, 1, 50)) == list(range(50))
    assert not np.array_equal(sample_order(0, 1, 50), sample_order(0, 2, 50))
    assert step_seed(0, 1) == step_seed(0, 1) != step_seed(0, 2)
