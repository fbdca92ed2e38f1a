"""Recipes of the published methods against their transforms: settings, forced draws, statistics, multi-crop.

The official transforms themselves are run where PRETRAIN_CHECKOUTS names a folder of checkouts; else they are
composed here of torchvision's parts in the same order.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter, ImageOps
from scipy import stats
from torchvision import transforms

from pretrain.images import augment_device, augment_host, decode
from pretrain.images.decode import Pixels
from pretrain.images.draws import View, Views, draw_views
from pretrain.images.loader import Loading, batches
from pretrain.images.recipes import RECIPES, Recipe
from pretrain.images.sources import find_images
from tests.pretrain.images.test_augment import photo
from tests.pretrain.optimizers.official import named

LIVE = "PRETRAIN_CHECKOUTS" in os.environ
live = pytest.mark.skipif(not LIVE, reason="PRETRAIN_CHECKOUTS names no folder of checkouts")
BICUBIC = transforms.InterpolationMode.BICUBIC
BILINEAR = transforms.InterpolationMode.BILINEAR


class Blur:
    """Draws as DINO's does."""

    def __init__(self, p: float) -> None:
        self.prob = p

    def __call__(self, image: Any) -> Any:
        if random.random() <= self.prob:
            return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(0.1, 2.0)))
        return image


class Solarise:
    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, image: Any) -> Any:
        return ImageOps.solarize(image) if random.random() < self.p else image


def official(name: str) -> list[Any]:
    """The parts of a transform of DINO, from its code or composed here, without the normalisation."""
    scales = {"dino": ((0.4, 1.0), (0.05, 0.4)), "dino_resnet": ((0.14, 1.0), (0.05, 0.14))}
    method, _, which = name.rpartition("_")
    large, small = scales[method]
    if LIVE:
        blur, solarise = named("dino/utils.py", "GaussianBlur", "Solarization", **IMAGING)
        utils = SimpleNamespace(GaussianBlur=blur, Solarization=solarise)
        (kind,) = named("dino/main_dino.py", "DataAugmentationDINO", utils=utils, **IMAGING)
        made = kind(large, small, 8)
        return flat(
            {"1": made.global_transfo1, "2": made.global_transfo2, "local": made.local_transfo}[which]
        )
    size, scale = (96, small) if which == "local" else (224, large)
    return [
        transforms.RandomResizedCrop(size, scale=scale, interpolation=BICUBIC),
        transforms.RandomHorizontalFlip(p=0.5),
        transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.2, 0.1)], p=0.8),
        transforms.RandomGrayscale(p=0.2),
        Blur({"1": 1.0, "2": 0.1, "local": 0.5}[which]),
        *([Solarise(0.2)] if which == "2" else []),
    ]


IMAGING = {
    "transforms": transforms,
    "Image": Image,
    "ImageFilter": ImageFilter,
    "ImageOps": ImageOps,
    "random": random,
    "InterpolationMode": transforms.InterpolationMode,
}


def flat(transform: Any) -> list[Any]:
    """The parts of nested compositions, without tensors and normalisation."""
    if isinstance(transform, transforms.Compose):
        return [part for inner in transform.transforms for part in flat(inner)]
    return [] if isinstance(transform, (transforms.ToTensor, transforms.Normalize)) else [transform]


def recipe_of(parts: list[Any]) -> Recipe:
    """Reads our row off official parts."""
    by_kind = {type(part).__name__: part for part in parts}
    crop, apply = by_kind["RandomResizedCrop"], by_kind["RandomApply"]
    (jitter,) = apply.transforms
    blur = by_kind.get("GaussianBlur") or by_kind.get("Blur")
    solarise = by_kind.get("Solarization") or by_kind.get("Solarise")
    assert [type(part).__name__ for part in parts[:4]] == [
        "RandomResizedCrop", "RandomHorizontalFlip", "RandomApply", "RandomGrayscale",
    ]  # fmt: skip
    return Recipe(
        ("jitter", "gray", "blur", "solarise"),
        apply.p,
        tuple(max(range_) - (name != "hue") for name, range_ in vars(jitter).items() if name in COLOURS),
        by_kind["RandomGrayscale"].p,
        getattr(blur, "prob", None) or blur.p,
        scale=tuple(crop.scale),
        solarise_probability=solarise.p if solarise else 0.0,
        bicubic=crop.interpolation in (BICUBIC, Image.BICUBIC),
    )


COLOURS = ("brightness", "contrast", "saturation", "hue")
DINO = [f"{method}_{which}" for method in ("dino", "dino_resnet") for which in ("1", "2", "local")]


def require_same(ours: Recipe, theirs: Recipe) -> None:
    for field, value in vars(theirs).items():
        wanted = value if isinstance(value, (bool, tuple)) and field == "steps" else pytest.approx(value)
        assert getattr(ours, field) == wanted, field


@pytest.mark.parametrize("name", DINO)
def test_settings_of_dino(name: str) -> None:
    require_same(RECIPES[name], recipe_of(official(name)))


@live
@pytest.mark.parametrize("place", ["barlowtwins/main.py", "vicreg/augmentations.py"])
def test_settings_of_byols_pair(place: str) -> None:
    kind_name = "Transform" if "barlow" in place else "TrainTransform"
    parts = named(place, "GaussianBlur", "Solarization", kind_name, **IMAGING, np=np)
    made = parts[2]()
    for ours, theirs in (("byol_1", made.transform), ("byol_2", made.transform_prime)):
        require_same(RECIPES[ours], recipe_of(flat(theirs)))


def forced(parts: list[Any], view: View, image: Any, patch: pytest.MonkeyPatch) -> np.ndarray:
    """An official transform with our draws in place of its own, in the order in which it asks for them."""
    factors = dict(view.jitter)
    order = torch.tensor([operation for operation, _ in view.jitter] or [0, 1, 2, 3])
    wanted = [factors.get(operation, 1.0) for operation in range(4)]
    uniform = iter([1 - view.flip, 1 - bool(view.jitter), 1 - view.gray])
    chances = iter([0.0 if view.sigma else 1.0, 0.0 if view.solarise else 1.0])
    with patch.context() as inside:
        inside.setattr(transforms.RandomResizedCrop, "get_params", staticmethod(lambda *_: view.box))
        inside.setattr(transforms.ColorJitter, "get_params", staticmethod(lambda *_: (order, *wanted)))
        inside.setattr(torch, "rand", lambda *_: torch.tensor([float(next(uniform))]))
        inside.setattr(random, "random", lambda: next(chances))
        inside.setattr(random, "uniform", lambda low, high: view.sigma)
        for part in parts:
            image = part(image)
    return np.asarray(image).astype(int)


def ours(pixels: np.ndarray, view: View, recipe: Recipe, size: int) -> np.ndarray:
    crop = augment_host.resized_crop(pixels, view.box, size, recipe.bicubic)
    return augment_host.augment(crop, view, recipe.steps)


@pytest.mark.parametrize("name", ["dino_1", "dino_2", "dino_local"])
def test_images_with_forced_draws(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images differ by roundings of hue and by PIL's approximate blur alone."""
    parts, pixels = official(name), photo(120, 150)
    size = parts[0].size[0]
    errors, kinds = [], set()
    for index in range(16):
        (view,) = draw_views(0, 0, index, 120, 150, [RECIPES[name]])
        kinds.add((view.flip, view.gray, view.solarise, bool(view.jitter)))
        expected = forced(parts, view, Image.fromarray(pixels), monkeypatch)
        errors.append(np.abs(ours(pixels, view, RECIPES[name], size).astype(int) - expected).mean())
    assert len(kinds) > 4
    assert max(errors) < 4
    assert np.mean(errors) < 1.5


@pytest.mark.parametrize("name", ["dino_2", "dino_local"])
def test_statistics_of_images(name: str) -> None:
    """Means, contrasts and saturations of images are distributed as those of the official transform."""
    parts, pixels = official(name), photo(60, 75)
    size = 32
    parts[0].size = (size, size)
    random.seed(0)
    torch.manual_seed(0)
    found: list[list[list[float]]] = [[], []]
    for index in range(250):
        image: Any = Image.fromarray(pixels)
        for part in parts:
            image = part(image)
        (view,) = draw_views(0, 0, index, 60, 75, [RECIPES[name]])
        for kept, made in zip(
            found, (np.asarray(image), ours(pixels, view, RECIPES[name], size)), strict=True
        ):
            levels = made.astype(float)
            kept.append([levels.mean(), levels.std(), np.ptp(levels, axis=2).mean()])
    for ours_, theirs in zip(*(np.array(kept).T for kept in found), strict=True):
        assert stats.ks_2samp(ours_, theirs).pvalue > 1e-3


def test_bicubic_and_solarise_are_pils() -> None:
    """Within a level, but for a few pixels beside noise: PIL cuts what overshoots between its passes."""
    for box in ((0, 0, 61, 83), (5, 7, 40, 30), (20, 3, 12, 17)):
        top, left, height, width = box
        part = Image.fromarray(photo()).crop((left, top, left + width, top + height))
        expected = np.asarray(part.resize((32, 32), Image.Resampling.BICUBIC)).astype(int)
        error = np.abs(augment_host.resized_crop(photo(), box, 32, True).astype(int) - expected)
        assert (error > 1).mean() < 0.01
        assert error.max() <= 8
    expected = np.asarray(ImageOps.solarize(Image.fromarray(photo())))
    assert np.array_equal(augment_host.solarise(photo()), expected)
    device = augment_device.solarise(torch.from_numpy(photo()).float() / 255)
    assert np.array_equal((device * 255).round().to(torch.uint8).numpy(), expected)


@pytest.mark.parametrize("name", sorted(set(RECIPES) - {"v1", "v2", "linear"}))
def test_shares_and_areas(name: str) -> None:
    recipe, count = RECIPES[name], 1500
    views = [draw_views(1, 2, i, 90, 90, [recipe])[0] for i in range(count)]
    for found, p in [
        ([bool(view.jitter) for view in views], recipe.jitter_probability),
        ([view.sigma > 0 for view in views], recipe.blur_probability),
        ([view.solarise for view in views], recipe.solarise_probability),
    ]:
        assert abs(np.mean(found) - p) <= 4 * (p * (1 - p) / count) ** 0.5
    torch.manual_seed(0)
    image = torch.zeros(3, 90, 90)
    ratio = (3 / 4, 4 / 3)
    boxes = [transforms.RandomResizedCrop.get_params(image, recipe.scale, ratio) for _ in range(count)]
    areas = [[box[2] * box[3] for box in some] for some in (boxes, [view.box for view in views])]
    assert stats.ks_2samp(*areas).pvalue > 1e-3


def test_multi_crop_decodes_once(image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Views of two sizes in the order asked for, a function of the seed and the image; one decoding each."""
    decoded: list[int] = []
    monkeypatch.setattr(
        decode, "decode", lambda data, original=decode.decode: (decoded.append(1), original(data))[1]
    )
    asked = [Views(1, "dino_1", 32), Views(1, "dino_2", 32), Views(3, "dino_local", 16)]

    def first_epoch(workers: int, on_host: bool) -> list[Any]:
        pixels = Pixels(find_images(image_folder))
        loading = Loading(workers, colour_on_host=on_host)
        return list(batches(pixels, asked, seed=3, batch_size=8, first=0, last=3, loading=loading))

    one, other = first_epoch(1, True), first_epoch(3, True)
    assert len(decoded) == 2 * 24
    on_device = first_epoch(2, False)
    for batch, again, late in zip(one, other, on_device, strict=True):
        images, same, close = (b.images(torch.device("cpu")) for b in (batch, again, late))
        assert [tuple(view.shape) for view in images] == 2 * [(8, 3, 32, 32)] + 3 * [(8, 3, 16, 16)]
        assert all(a.equal(b) for a, b in zip(images, same, strict=True))
        assert all((a - b).abs().mean() < 0.05 for a, b in zip(images, close, strict=True))
        assert not images[2].equal(images[3])
