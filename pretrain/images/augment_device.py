"""Augments whole batches on the training device: no image leaves it, and the host waits for nothing.

Images are float Nx3xHxW in [0, 1]. The host decides from `View`s which image gets what.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from pretrain.images.draws import View

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_RADIUS = 7  # 3.5 standard deviations of the widest blur, which has 2 pixels


def normalise(images: Tensor) -> Tensor:
    """Turns uint8 NxHxWx3 into float Nx3xHxW (channels_last), by ImageNet's mean and deviation."""
    mean = _to_device(torch.tensor([255 * m for m in MEAN]), images.device)
    scale = _to_device(torch.tensor([1 / (255 * s) for s in STD]), images.device)
    return ((images.float() - mean) * scale).permute(0, 3, 1, 2)


def augment(images: Tensor, views: Sequence[View], steps: tuple[str, ...]) -> Tensor:
    """Applies colour steps and flip to uint8 crops NxHxWx3, one view each; gives floats in [0, 255]."""
    x = images.permute(0, 3, 1, 2).float().div_(255).contiguous()
    for step in steps:
        if step == "jitter":
            _jitter(x, views)
        elif step == "gray":
            _apply(x, [i for i, view in enumerate(views) if view.gray], grayscale)
        elif step == "blur":
            blurred = [i for i, view in enumerate(views) if view.sigma]
            _apply(x, blurred, blur, [views[i].sigma for i in blurred])
        elif step == "solarise":
            _apply(x, [i for i, view in enumerate(views) if view.solarise], solarise)
    _apply(x, [i for i, view in enumerate(views) if view.flip], lambda part: part.flip(3))
    return x.mul_(255).permute(0, 2, 3, 1)


def _jitter(x: Tensor, views: Sequence[View]) -> None:
    """Jitters in four rounds; in each, all images whose turn it is for an operation go together."""
    for turn in range(4):
        for number, operation in enumerate(JITTER):
            chosen = [i for i, v in enumerate(views) if v.jitter and v.jitter[turn][0] == number]
            _apply(x, chosen, operation, [views[i].jitter[turn][1] for i in chosen])


def _apply(x: Tensor, rows: list[int], operation: Callable, values: list[float] | None = None) -> None:
    """Replaces rows of x by operation(rows) or operation(rows, values as nx1x1x1)."""
    if not rows:
        return
    index = _to_device(torch.tensor(rows), x.device)
    arguments = [] if values is None else [_to_device(torch.tensor(values), x.device).view(-1, 1, 1, 1)]
    x.index_copy_(0, index, operation(x[index], *arguments))


def _to_device(x: Tensor, device: torch.device) -> Tensor:
    """From pinned memory, so that the host does not wait for the device."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    return (x * factor).clamp_(0, 1)


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    mean = _luma(x).mean((1, 2, 3), keepdim=True)
    return (x * factor + mean * (1 - factor)).clamp_(0, 1)


def saturation(x: Tensor, factor: Tensor) -> Tensor:
    return (x * factor + _luma(x) * (1 - factor)).clamp_(0, 1)


def hue(x: Tensor, shift: Tensor) -> Tensor:
    """Rotates the hue by `shift` turns (nx1x1x1).

    Each channel is max - chroma * clamp(min(k, 4 - k), 0, 1), where k follows from the hue.
    """
    red, green, blue = x.unbind(1)
    high, low = x.amax(1), x.amin(1)
    chroma = high - low
    inverse = chroma.clamp(min=1e-12).reciprocal_()
    sextant = torch.where(
        high == red,
        (green - blue) * inverse,
        torch.where(high == green, (blue - red) * inverse + 2, (red - green) * inverse + 4),
    )
    sextant += 6 * shift[:, 0]
    channels = []
    for offset in (5.0, 3.0, 1.0):
        k = sextant + offset
        k -= 6 * torch.floor(k / 6)
        channels.append(high - chroma * torch.minimum(k, 4 - k).clamp_(0, 1))
    return torch.stack(channels, 1)


def grayscale(x: Tensor) -> Tensor:
    return _luma(x).expand_as(x)


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur with a standard deviation per image, in pixels; edge pixels are repeated, as PIL does."""
    n, channels, height, width = x.shape
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma.view(-1, 1)) ** 2)  # nx15
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)  # one an image and channel
    padded = F.pad(x, (_RADIUS,) * 4, mode="replicate").view(1, n * channels, height + 2 * _RADIUS, -1)
    rows = F.conv2d(padded, kernel[:, None, :, None], groups=n * channels)
    return F.conv2d(rows, kernel[:, None, None, :], groups=n * channels).view(n, channels, height, width)


def solarise(x: Tensor) -> Tensor:
    """Inverts what is at least level 128 of 255."""
    return torch.where(x < 128 / 255, x, 1 - x)


def _luma(x: Tensor) -> Tensor:
    """Nx1xHxW, with the weights of ITU-R 601-2."""
    return 0.2989 * x[:, 0:1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:3]


JITTER = (brightness, contrast, saturation, hue)
