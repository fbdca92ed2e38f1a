"""Times multi-crop and the optimizers of the joint-embedding methods against the published code.

`perf/pretrain.py` runs it. What is published is restated, as in `pretrain_published.py`: DINO's transforms in
torchvision and PIL, LARS as a loop over the parameters with a norm each.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor, nn
from torchvision import transforms
from torchvision.models import resnet50

from pretrain.images.augment_host import augment, resize_into
from pretrain.images.decode import decode
from pretrain.images.draws import draw_views
from pretrain.images.recipes import RECIPES
from pretrain.optimizers.build import build
from pretrain.optimizers.rows import PUBLISHED

LARGE, SMALL, LOCAL = 224, 96, 8  # pixels, pixels, small crops an image: DINO's


def _blur(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(0.1, 2.0)))


def _view(size: int, scale: tuple[float, float], blur: float, solarise: float = 0.0) -> transforms.Compose:
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=scale, interpolation=Image.Resampling.BICUBIC),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.2, 0.1)], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            transforms.RandomApply([_blur], blur),
            *([transforms.RandomApply([ImageOps.solarize], solarise)] if solarise else []),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )


def multi_crop(encoded: list[bytes]) -> dict[str, Callable[[], Any]]:
    """DINO's ten crops of every image, JPEG decoding included, on one core: who -> what makes them all."""
    views = [_view(LARGE, (0.4, 1.0), 1.0), _view(LARGE, (0.4, 1.0), 0.1, 0.2)]
    views += [_view(SMALL, (0.05, 0.4), 0.5)] * LOCAL
    recipes = [RECIPES[name] for name in ("dino_1", "dino_2", *["dino_local"] * LOCAL)]
    outs = [torch.empty((size, size, 3), dtype=torch.uint8) for size in [LARGE] * 2 + [SMALL] * LOCAL]

    def published() -> None:
        for data in encoded:
            image = Image.open(io.BytesIO(data)).convert("RGB")
            for view in views:
                view(image)

    def ours(colour: bool) -> None:
        for number, data in enumerate(encoded):
            pixels = decode(data)
            drawn = draw_views(0, 0, number, pixels.shape[0], pixels.shape[1], recipes)
            for out, view, recipe in zip(outs, drawn, recipes, strict=True):
                resize_into(out, pixels, view.box, recipe.bicubic)
                if colour:
                    out.numpy()[:] = augment(out.numpy(), view, recipe.steps)

    return {
        "published": published,
        "ours, all on the CPU": lambda: ours(True),
        "ours, host part": lambda: ours(False),
    }


def lars(device: Any) -> dict[str, Callable[[], Any]]:
    """One step of LARS on the parameters of a ResNet-50 with Barlow Twins' exclusions."""
    networks = [resnet50().to(device) for _ in range(2)]
    for network in networks:
        for parameter in network.parameters():
            parameter.grad = torch.randn_like(parameter)
    built = build(
        PUBLISHED["barlow"], networks[0].named_parameters(), batch_size=256, per_epoch=10, total=1000
    )
    momenta = {parameter: torch.zeros_like(parameter) for parameter in networks[1].parameters()}
    return {"published": lambda: _lars_loop(momenta), "ours": built.optimizer.step}


@torch.no_grad()
def _lars_loop(momenta: dict[nn.Parameter, Tensor]) -> None:
    for weight, momentum in momenta.items():
        move = weight.grad
        assert move is not None
        if weight.ndim != 1:
            move = move.add(weight, alpha=1e-6)
            norm, other = torch.norm(weight), torch.norm(move)
            one = torch.ones_like(norm)
            move = move.mul(torch.where(norm > 0.0, torch.where(other > 0, 0.001 * norm / other, one), one))
        momentum.mul_(0.9).add_(move)
        weight.add_(momentum, alpha=-0.1)
