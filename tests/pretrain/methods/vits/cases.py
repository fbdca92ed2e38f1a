"""Makes each method of vision transformers tiny, and twenty steps of it in float64, as `joint.cases` does."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from pretrain.images.sources import ImageSet
from pretrain.methods.choose import joint_row
from pretrain.networks import vit_sizes
from pretrain.networks.encoders import make_encoder_factory
from tests.pretrain.methods.joint.cases import BATCH, SIZE, STEPS, in_double, trained

ARCH, PATCH, WIDTH, DEPTH = "vit_mini_patch4", 4, 48, 2
_HEAD = {"projector": "12b:gelu-12b:gelu-6b", "prototypes": 7, "ema": 0.9, "drop_path": 0.0}
_WARM = {"warm_epochs": 5, "teacher_temperature": 0.07}
TINY: dict[str, dict[str, Any]] = {
    "mae": {"decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2},
    "moco_v3": {"projector": "12:bn-12:bn-6:bn0", "predictor": "12:bn-6:bn0", "ema": 0.9},
    "dino": {**_HEAD, **_WARM},
    "ibot": {**_HEAD, **_WARM},
    "ibot/two_heads": {**_HEAD, **_WARM, "shared_head": False, "norm_last_layer": True},
}
LOCAL = 2  # views of half the size, of those that have any


def register_mini() -> None:
    """Makes `vit_mini_patchN` known: two blocks of 48 channels."""
    vit_sizes.SIZES["mini"] = (WIDTH, DEPTH)


def tiny_row(name: str, **more: Any) -> Any:
    row: Any = joint_row(name.partition("/")[0], ARCH)
    return replace(row, **{**TINY[name], **more})


def make_method(row: Any, *, arch: str = ARCH, image_size: int = SIZE) -> Any:
    register_mini()
    torch.manual_seed(0)
    place, _, kind = row.made_by.partition(":")
    maker = partial(make_encoder_factory, arch, image_size=image_size)
    return getattr(importlib.import_module(place), kind).build(row, maker, ImageSet([], []))


def tiny_method(row: Any) -> Any:
    return in_double(row, make_method(row))


def own(batch: Tensor) -> Tensor:
    """This process's share of a batch."""
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    return batch[rank * BATCH // world : (rank + 1) * BATCH // world]


def views_of(name: str, step: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(100 + step)
    large = 1 if name == "mae" else 2
    sizes = [SIZE] * large + [SIZE // 2] * (LOCAL if "drop_path" in TINY[name] else 0)
    base = torch.randn(BATCH, 3, SIZE, SIZE, generator=rng)
    noise = [torch.randn(BATCH, 3, size, size, generator=rng) for size in sizes]
    return [own(base[..., : n.shape[-1], : n.shape[-1]] + 0.3 * n).double() for n in noise]


def run_ours(name: str, *, steps: int = STEPS, **more: Any) -> dict[str, Any]:
    """Losses, gradients of the first step, and all tensors after twenty, by the names of the row's files."""
    row = tiny_row(name, **(more if name != "mae" else {}))
    distils = "drop_path" in TINY[name]
    rests = [(f"{part}prototypes.", 1) for part in ("", "patch_")] if distils else []
    method = tiny_method(row)
    for part in [freeze.part for freeze in row.optimizer.freeze if freeze.until(1) is None]:
        for parameter in [p for n, p in method.named_parameters() if part in n]:
            parameter.requires_grad_(False)
    return trained(row, method, partial(views_of, name), steps, 3.0 if distils else None, rests)
