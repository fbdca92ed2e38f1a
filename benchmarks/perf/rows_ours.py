"""Makes the training step of a row as `python -m pretrain` does it, for comparison with another library's.

Heads are those of the other library where its own differ from the published ones, for losses are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pretrain.methods.base import Method, Step
from pretrain.methods.choose import joint_row, method_class
from pretrain.methods.joint.published import Published
from pretrain.methods.moco import MoCo
from pretrain.networks.encoders import make_encoder_factory
from pretrain.optimizers.build import build
from pretrain.training.updates import Updates

QUEUE = 65536
NOW = Step(done=500, total=1000, per_epoch=10)  # after every warm-up
# What the heads of both libraries have in common with each other, and not with the published ones.
BOTH: dict[str, dict[str, Any]] = {
    "nnclr": {"queue": QUEUE},
    "densecl": {"queue": QUEUE, "shuffle_bn": False},
    "mae": {"norm_pixels": False},
}
SPECS: dict[str, dict[str, dict[str, Any]]] = {
    "lightly": {
        "simclr": {"projector": "w:bn-128:bn"},
        "byol": {"projector": "4096:bn-256b", "predictor": "4096:bn-256b"},
        "simsiam": {"projector": "2048:bn-2048:bn-2048:bn0", "predictor": "512:bn-2048b"},
        "barlow": {"projector": "8192:bn-8192:bn-8192b", "off_diagonal": 0.005},
        "vicreg": {"projector": "8192:bn-8192:bn-8192b"},
        "nnclr": {"projector": "2048:bn-2048:bn-256:bn", "predictor": "4096:bn-256b"},
        "swav": {"projector": "2048:bn-128b"},
    },
    "solo-learn": {
        "simclr": {"projector": "2048b-128b"},
        "byol": {"projector": "4096b:bn-256b", "predictor": "4096b:bn-256b"},
        "simsiam": {"projector": "2048:bn-2048:bn-2048f:bn0", "predictor": "512:bn-2048b"},
        "barlow": {"projector": "8192b:bn-8192b:bn-8192b"},
        "vicreg": {"projector": "8192b:bn-8192b:bn-8192b"},
        "nnclr": {"projector": "2048b:bn-2048b:bn-256b:bn", "predictor": "4096b:bn-256b"},
    },
}


@dataclass(frozen=True)
class Setting:
    """A comparison: a row against a library's, on one network and one size of images."""

    row: str
    library: str
    arch: str
    image_size: int
    batch_size: int
    device: str = "cpu"
    half: bool = False  # both under autocast to bfloat16
    tuned: bool = False  # the library in the memory format and with the allocator that ours has
    exact: bool = False  # in float64, and the library with the passes that ours makes, where it has others


@dataclass(frozen=True)
class Training:
    """One training step, cut in two: the loss of the views, and all that follows it."""

    forward: Callable[[], Tensor]
    update: Callable[[Tensor], None]
    encoder: nn.Module  # whose gradients are compared


def row_of(setting: Setting) -> Published:
    row = joint_row(setting.row, setting.arch)
    return replace(row, **BOTH.get(setting.row, {}), **SPECS[setting.library].get(setting.row, {}))


def make_method(setting: Setting) -> Method[Any]:
    """The method with fresh weights, which are the same in every process."""
    torch.manual_seed(0)
    factory = partial(make_encoder_factory, setting.arch, image_size=setting.image_size)
    if setting.row == "moco_v2":
        return MoCo(factory(dim=128), 128, QUEUE, T=0.2, mlp=True)
    return method_class(setting.row).build(row_of(setting), factory, None)  # type: ignore[arg-type]


def make_views(setting: Setting) -> list[Tensor]:
    """The same views in every process: those that the row asks for."""
    generator = torch.Generator().manual_seed(0)
    sizes = [setting.image_size] * 2
    if setting.row != "moco_v2":
        sized = row_of(setting).sized_views(setting.image_size)
        sizes = [view.size for view in sized for _ in range(view.count)]
    shapes = [(setting.batch_size, 3, size, size) for size in sizes]
    views = [torch.randn(shape, generator=generator, device="cpu").to(setting.device) for shape in shapes]
    return [view.contiguous(memory_format=torch.channels_last) for view in views] if setting.tuned else views


def ours(setting: Setting) -> Training:
    """Our step, as `pretrain.run` and `pretrain.training.loop` put it together."""
    method = make_method(setting).to(setting.device).to(memory_format=torch.channels_last).train()
    views = [view.contiguous(memory_format=torch.channels_last) for view in make_views(setting)]
    index, rng = torch.arange(setting.batch_size, device=setting.device), torch.Generator()
    updates = _updates(setting, method)

    def forward() -> Tensor:
        rng.manual_seed(1)
        updates.set_rates(NOW.done)
        return method(views, index, rng, NOW)[0]

    def update(loss: Tensor) -> None:
        updates.step(loss)
        method.after_step()

    name = "encoder_q" if setting.row == "moco_v2" else "backbone"
    return Training(forward, update, method.get_submodule(name))


def _updates(setting: Setting, method: Method[Any]) -> Updates:
    device = torch.device(setting.device)
    if setting.row == "moco_v2":
        sgd = torch.optim.SGD(method.parameters(), 0.03, momentum=0.9, weight_decay=1e-4, fused=True)
        return Updates(sgd, [lambda iteration: 0.03], device)
    named = [(name, p) for name, p in method.named_parameters() if p.requires_grad]
    sizes = {"batch_size": setting.batch_size, "per_epoch": NOW.per_epoch, "total": NOW.total}
    built = build(row_of(setting).optimizer, named, **sizes)
    more: dict[str, Any] = {"decays": built.decays, "clip": built.clip, "resting": built.resting}
    return Updates(built.optimizer, built.rates, device, **more)
