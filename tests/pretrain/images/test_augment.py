"""Each augmentation step against torchvision's, on the host (uint8, as PIL's) and on the device (float)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torchvision.transforms import functional as TF

from pretrain.images import augment_device, augment_host
from pretrain.images.draws import View, draw_views
from pretrain.images.loader import Batch, Crops
from pretrain.images.recipes import RECIPES

FACTORS = [0.6, 0.85, 1.0, 1.37]
TORCHVISION = [TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation, TF.adjust_hue]


def photo(height: int = 61, width: int = 83, seed: int = 0) -> np.ndarray:
    """Smooth and saturated regions, gray ones and noise: uint8 HxWx3."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    pixels = np.array(small.resize((width, height), Image.Resampling.BICUBIC))
    pixels[:10] = pixels[:10, :, :1]  # gray rows: hue is undefined there
    pixels[10:20] = rng.integers(0, 256, (10, width, 3))
    return pixels


def as_float(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_jitter_on_host(number: int, factor: float) -> None:
    expected = np.asarray(TORCHVISION[number](Image.fromarray(photo()), factor)).astype(int)
    got = augment_host.JITTER[number](photo(), factor).astype(int)
    assert np.abs(got - expected).max() <= 1  # one level: rounding


@pytest.mark.parametrize("shift", [-0.4, -0.1, 0.0, 0.03, 0.1, 0.4])
def test_hue_on_host(shift: float) -> None:
    """Both go through 8-bit HSV, with other roundings; the mean error stays near one level."""
    expected = np.asarray(TF.adjust_hue(Image.fromarray(photo()), shift)).astype(int)
    error = np.abs(augment_host.hue(photo(), shift).astype(int) - expected)
    assert error.mean() < 1.5
    assert np.quantile(error, 0.99) <= 8


def test_gray_on_host() -> None:
    expected = np.asarray(TF.rgb_to_grayscale(Image.fromarray(photo()), 3)).astype(int)
    assert np.abs(augment_host.grayscale(photo()).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("box", [(0, 0, 61, 83), (5, 7, 40, 30), (20, 3, 12, 17)])
def test_resized_crop_on_host(box: tuple[int, int, int, int]) -> None:
    expected = TF.resized_crop(Image.fromarray(photo()), *box, [32, 32], TF.InterpolationMode.BILINEAR)
    assert np.abs(augment_host.resized_crop(photo(), box, 32).astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 2.0])
def test_blur(sigma: float) -> None:
    """PIL approximates a Gaussian by box filters, and ours is one: they agree within a few levels."""
    exact = TF.gaussian_blur(torch.from_numpy(photo()).permute(2, 0, 1), [21, 21], [sigma, sigma]).permute(
        1, 2, 0
    )
    pil = np.asarray(Image.fromarray(photo()).filter(ImageFilter.GaussianBlur(sigma))).astype(int)
    host = augment_host.blur(photo(), sigma).astype(int)
    device = augment_device.blur(as_float(photo()), torch.tensor([sigma]).view(-1, 1, 1, 1))
    device = (device[0].permute(1, 2, 0) * 255).numpy()
    inside = np.s_[10:-10, 10:-10]  # torchvision mirrors the edge, PIL and we repeat it
    assert np.abs(host - exact.numpy().astype(int))[inside].max() <= 2
    assert np.abs(device - exact.numpy())[inside].max() <= 1
    assert np.abs(host - pil).mean() < 4
    assert np.abs(device - pil).mean() < 4


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_jitter_on_device(number: int) -> None:
    """Float against torchvision's float, all factors in one batch: equal but for the last bits."""
    factors = FACTORS if number < 3 else [-0.4, -0.03, 0.1, 0.4]
    x = as_float(photo())
    expected = torch.cat([TORCHVISION[number](x, factor) for factor in factors])
    got = augment_device.JITTER[number](x.repeat(4, 1, 1, 1), torch.tensor(factors).view(-1, 1, 1, 1))
    torch.testing.assert_close(got, expected, rtol=0, atol=2e-5)


def test_gray_on_device() -> None:
    x = as_float(photo())
    torch.testing.assert_close(augment_device.grayscale(x), TF.rgb_to_grayscale(x, 3), rtol=0, atol=1e-6)


def test_normalise() -> None:
    expected = TF.normalize(TF.to_tensor(photo()), augment_device.MEAN, augment_device.STD)
    got = augment_device.normalise(torch.from_numpy(photo())[None])
    assert got.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(got[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["v1", "v2", "byol_2", "dino_local"])
def test_device_equals_host(name: str) -> None:
    """The whole recipe, same draws, on both: the images differ by the host's rounding to levels only."""
    recipe = RECIPES[name]
    crops = np.stack([photo(64, 64, seed) for seed in range(24)])
    views = [draw_views(0, 0, index, 64, 64, [recipe])[0] for index in range(24)]
    assert any(view.gray for view in views)
    assert any(view.flip for view in views)
    host = np.stack(
        [augment_host.augment(crop, view, recipe.steps) for crop, view in zip(crops, views, strict=True)]
    )
    device = augment_device.augment(torch.from_numpy(crops), views, recipe.steps).numpy()
    error = np.abs(device - host)
    assert error.mean() < 1.5
    assert error.mean((1, 2, 3)).max() < 5  # no image was given another image's treatment


def test_untouched_without_steps() -> None:
    """A view that asks for nothing leaves the pixels alone on both paths."""
    nothing = View((0, 0, 64, 64), False, (), False, 0.0)
    crop = photo(64, 64)
    assert np.array_equal(augment_host.augment(crop, nothing, RECIPES["v2"].steps), crop)
    crops = [Crops(torch.from_numpy(crop)[None, None], [[nothing]], RECIPES["v2"].steps)]
    batches = [Batch(crops, torch.tensor([0]), colour_on_host=done) for done in (True, False)]
    images = [batch.images(torch.device("cpu"))[0] for batch in batches]
    torch.testing.assert_close(images[0], images[1], rtol=0, atol=1e-5)
