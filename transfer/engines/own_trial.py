"""Tries a user's module on test images, and measures what a recipe must know of it.

Whatever is wrong with it is a TransferError of one line; the names of its maps, their strides and channels
come from what it gives, and never from what it says of itself.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from transfer.engines.own import maps_of, telling
from transfer.errors import TransferError
from transfer.recipes.facts_of_weights import PIXELS

FIRST = (224, 448)  # height and width: whole patches of 7, 8, 14, 16, 28 and 32 pixels
LEAST = 150  # pixels of a side of the second image, about; it is an odd number of strides
ALIKE = 1e-3  # of the largest number: what an image's maps may differ by in another batch
LOADED = 0.5  # share of the numbers that are the same for every seed, from which a callable loads weights


def try_module(
    make: Callable[[], nn.Module], file: Path, weights: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Makes the module twice, sets the weights, tries it; returns its facts and counts, all of JSON types."""
    torch.manual_seed(0)
    body = make()
    facts: dict[str, Any] = {**_pixels(body, file), **_drawn(body, make, file)}
    if weights is not None:
        set_exactly(body, weights, file)
    body.eval()
    found = _measure(body, FIRST, file)
    strides = {name: stride for name, (stride, _) in found.items()}
    unit = math.lcm(*strides.values())
    second = (unit * (LEAST // unit | 1), unit * (2 * LEAST // unit | 1))
    if (again := _measure(body, second, file)) != found:
        raise TransferError(f"{file}: maps of {_size(FIRST)} are {found}, those of {_size(second)} {again}")
    _check_batch(body, second, file)
    _check_gradient(body, second, file)
    _check_training(body, second, file, found)
    return facts | {
        "maps": list(found),
        "strides": list(strides.values()),
        "channels": [channels for _, channels in found.values()],
        "patch": _patch(body, strides),
        "blocks": _blocks(body),
        "parameters": sum(p.numel() for p in body.parameters()),
        "trainable": sum(p.numel() for p in body.parameters() if p.requires_grad),
    }


def set_exactly(body: nn.Module, weights: Mapping[str, Any], file: Path) -> None:
    """Sets every tensor of the module by its name. TransferError with the account if they do not fit."""
    state = body.state_dict()
    wrong = [n for n in state if n in weights and tuple(state[n].shape) != tuple(weights[n].shape)]
    for what, names in (
        ("missing", [name for name in state if name not in weights]),
        ("unexpected", [name for name in weights if name not in state]),
        ("of another shape", [f"{n} {tuple(weights[n].shape)}, not {tuple(state[n].shape)}" for n in wrong]),
    ):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise TransferError(
                f"{file}: the weights do not fit the module's {len(state)} tensors: {len(names)} {what}: "
                f"{', '.join(names[:3])}{more}; return the module that the file was saved from"
            )
    body.load_state_dict({name: torch.as_tensor(weights[name]) for name in state})


def _drawn(body: nn.Module, make: Callable[[], nn.Module], file: Path) -> dict[str, Any]:
    """Counts what differs with the seed; hashes what does not, and tells whether that is most of the module.

    The hash is empty where nothing but constants stays: then the callable loads nothing.
    """
    torch.manual_seed(1)
    one, other = body.state_dict(), make().state_dict()
    if [(n, t.shape) for n, t in one.items()] != [(n, t.shape) for n, t in other.items()]:
        raise TransferError(f"{file}: two calls of the callable gave modules of different tensors")
    kept = {n: t for n, t in one.items() if torch.equal(t, other[n])}
    varied = {
        n: t for n, t in kept.items() if t.numel() > 1 and not torch.equal(t, t.flatten()[:1].expand_as(t))
    }
    whole = sum(tensor.numel() for tensor in one.values())
    digest = hashlib.sha256()
    for name, tensor in kept.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return {
        "num_tensors": len(one),
        "drawn_tensors": len(one) - len(kept),
        "kept_sha256": digest.hexdigest() if varied else "",
        "loads_itself": sum(tensor.numel() for tensor in varied.values()) > LOADED * whole,
    }


def _measure(body: nn.Module, size: tuple[int, int], file: Path) -> dict[str, tuple[int, int]]:
    """Name -> (stride, channels) of the maps of two images; TransferError for what is no map."""
    with torch.no_grad():
        return _looked_at(_maps(body, size, file), size, file)


def _looked_at(maps: Mapping[str, Any], size: tuple[int, int], file: Path) -> dict[str, tuple[int, int]]:
    if not maps:
        raise TransferError(f"{file}: the module gave no maps of an image; expected a tensor or a dictionary")
    found = {}
    for name, one in maps.items():
        if not name.isprintable() or not name:
            raise TransferError(f"{file}: {name!a} is no name of a map; take visible characters")
        if not isinstance(one, Tensor) or one.ndim != 4 or one.shape[0] != 2 or 0 in one.shape:
            got = f"a tensor {tuple(one.shape)}" if isinstance(one, Tensor) else f"a {type(one).__name__}"
            raise TransferError(
                f"{file}: {name!r} of two images of {_size(size)} is {got}; expected (N, C, H/s, W/s): "
                "leave class tokens out, and give tokens the form of a map"
            )
        if not one.is_floating_point() or not torch.isfinite(one).all():
            raise TransferError(
                f"{file}: {name!r} of an image of {_size(size)} holds NaN, infinity or integers"
            )
        (high, wide), channels = one.shape[2:], one.shape[1]
        if size[0] % high or size[1] % wide or size[0] // high != size[1] // wide:
            raise TransferError(
                f"{file}: {name!r} of an image of {_size(size)} is {high}x{wide}: no whole stride, the same "
                "in both directions"
            )
        found[name] = (size[0] // high, int(channels))
    return found


def _maps(body: nn.Module, size: tuple[int, int], file: Path) -> dict[str, Tensor]:
    """The maps of two images, noise that is the same at every call."""
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with telling(file, f"the module fails on images of {_size(size)}"):
        return maps_of(body, images)


def _check_batch(body: nn.Module, size: tuple[int, int], file: Path) -> None:
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), telling(file, "the module fails on a single image"):
        together, alone = maps_of(body, images), maps_of(body, images[:1])
    for name, one in together.items():
        apart = (one[:1] - alone[name]).abs().max() / one.abs().max().clamp(min=1e-12)
        if not apart < ALIKE:
            raise TransferError(
                f"{file}: in evaluation mode {name!r} of an image depends on the batch that it is in, by "
                f"{float(apart):.1e} of its largest number: norms must take their running statistics then"
            )


def _check_gradient(body: nn.Module, size: tuple[int, int], file: Path) -> None:
    """In evaluation mode, where no path is dropped by chance."""
    trained = {name: p for name, p in body.named_parameters() if p.requires_grad}
    if not trained:
        return
    maps = _maps(body, size, file)
    with telling(file, "the gradient cannot be computed"):
        torch.stack([(one * torch.randn_like(one)).sum() for one in maps.values()]).sum().backward()
    idle = [name for name, parameter in trained.items() if parameter.grad is None]
    body.zero_grad(set_to_none=True)
    if idle:
        more = f" and {len(idle) - 3} more" if len(idle) > 3 else ""
        raise TransferError(
            f"{file}: no gradient reaches {', '.join(idle[:3])}{more}: several processes would wait for it; "
            "delete what the maps do not need, or set its requires_grad to False"
        )


def _check_training(
    body: nn.Module, size: tuple[int, int], file: Path, found: Mapping[str, tuple[int, int]]
) -> None:
    """The maps in training mode must be those of evaluation mode; it comes last, for norms move by it."""
    body.train()
    with torch.no_grad():
        again = _looked_at(_maps(body, size, file), size, file)
    if again != found:
        raise TransferError(
            f"{file}: in training mode the maps are {again}, in evaluation mode {dict(found)}"
        )


def _patch(body: nn.Module, strides: Mapping[str, int]) -> int:
    """The side of the patches, where a convolution cuts the image into them and all maps have that stride."""
    for module in body.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:
            side = module.stride[0]
            patches = module.kernel_size == module.stride == (side, side)
            return side if patches and set(strides.values()) == {side} else 0
    return 0


def _blocks(body: nn.Module) -> int:
    """The length of the one list `blocks` of the module; 0 where there is none, or several."""
    found = [re.match(r"(?:(.*)\.)?blocks\.(\d+)\.", name) for name, _ in body.named_parameters()]
    numbers = {int(match[2]) for match in found if match}
    one = len({match[1] for match in found if match}) == 1
    return len(numbers) if one and numbers == set(range(len(numbers))) else 0


def _pixels(body: nn.Module, file: Path) -> dict[str, Any]:
    """Reads what the module's attributes state of its pixels; nothing where they state nothing."""
    stated = {key: getattr(body, key) for key in PIXELS if hasattr(body, key)}
    if stated.get("input_format", "RGB") not in ("RGB", "BGR"):
        raise TransferError(
            f"{file}: input_format is {stated['input_format']!r:.60}; expected 'RGB' or 'BGR'"
        )
    for key in ("pixel_mean", "pixel_std"):
        if key not in stated:
            continue
        try:
            numbers = [float(value) for value in torch.as_tensor(stated[key]).flatten()]
        except (TypeError, ValueError, RuntimeError):
            numbers = []
        least = 1.0 if key == "pixel_std" else 0.0
        small = any(0 < abs(value) < 1 for value in numbers)  # of pixels from 0 to 1
        if len(numbers) != 3 or small or not all(least <= value <= 255 for value in numbers):
            raise TransferError(
                f"{file}: {key} is {stated[key]!r:.80}; expected three numbers for pixels from 0 to 255, in "
                "the order of input_format: ImageNet's mean is [123.675, 116.28, 103.53]"
            )
        stated[key] = numbers
    return stated


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
