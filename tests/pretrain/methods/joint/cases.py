"""Makes each row of the frame tiny, and twenty steps of it in float64, in one process or in several.

Weights are functions of their names, so that no order of random draws matters.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from pretrain.methods.base import Step
from pretrain.methods.choose import joint_row
from pretrain.methods.joint.frame import JointEmbedding
from pretrain.methods.joint.published import Published
from pretrain.methods.joint.row import Row
from pretrain.training.updates import Updates
from tests.pretrain.tiny import Miniature

EARLY = 8  # steps by which all queues are in use
STEPS, BATCH, SIZE, LR = 20, 8, 16, 0.01
CLIP, RESTS = {"dino": 3.0}, {"dino": 1, "swav": 3}  # gradient norm; iterations without a step of prototypes
# Narrow heads; an epoch is one iteration, so that everything that begins by epochs does begin.
TINY: dict[str, dict[str, Any]] = {
    "simclr": {"projector": "w:bn-6:bns"},
    "byol": {"projector": "12b:bn-6", "predictor": "12b:bn-6", "ema": 0.9},
    "simsiam": {"projector": "w:bn-w:bn-10f:bn0", "predictor": "5:bn-10b"},
    "barlow": {"projector": "12:bn-12:bn-10"},
    "vicreg": {"projector": "12b:bn-12b:bn-10"},
    "nnclr": {"projector": "12b:bn-12b:bn-6b:bn", "predictor": "12b:bn-6b", "queue": 32},
    "ressl": {"projector": "12b-6b", "queue": 32, "ema": 0.9, "ema_end": 0.9},
    "moco_v3": {"projector": "12:bn-6:bn0", "predictor": "12:bn-6", "ema": 0.9},
    "densecl": {
        "projector": "12b-6b",
        "dense_projector": "12b-6b",
        "queue": 32,
        "ema": 0.9,
        "ema_end": 0.9,
    },
    "swav": {"projector": "12b:bn-6b", "prototypes": 7, "queue": 16, "queue_epoch": 4},
    "dino": {
        "projector": "12b:gelu-12b:gelu-6b",
        "prototypes": 7,
        "ema": 0.9,
        "warm_epochs": 5,
        "teacher_temperature": 0.07,
    },
}
TWO_SIZES = ("swav", "dino")


def tiny_row(name: str, **more: Any) -> Row:
    row: Any = joint_row(name)
    return replace(row, **{**TINY[name], **more})


def miniature(dim: int) -> Any:
    return lambda: Miniature(dim)


def tiny_method(row: Row) -> JointEmbedding:
    """The method in float64, with weights that are functions of their names."""
    torch.manual_seed(0)
    return in_double(row, JointEmbedding(row, miniature))


def in_double(row: Row, method: nn.Module) -> Any:
    """A method with those weights; the slow copy has them, too, unless it begins with its own."""
    fill(method)
    slow = {name: value for name, value in method.state_dict().items() if name.startswith("target_")}
    for name, value in slow.items() if not getattr(row, "fresh_target", False) else ():
        value.copy_(method.state_dict()[name.removeprefix("target_")])
    return method.double()


def fill(module: nn.Module) -> None:
    """Draws weights and queues by their names."""
    for name, value in module.state_dict().items():
        if value.is_floating_point() and "running" not in name and "center" not in name:
            rng = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            drawn = torch.randn(value.shape, generator=rng) * (0.3 if value.dim() > 1 else 0.1)
            keeps = name.endswith("weight_g") or (value.dim() == 1 and name.endswith("weight"))
            value.copy_(
                torch.ones_like(value) + (0 if name.endswith("weight_g") else drawn) if keeps else drawn
            )
            if "queue" in name:
                value.copy_(nn.functional.normalize(value, dim=0))


def views_of(name: str, step: int) -> list[Tensor]:
    """This process's views of one step: two, and for multi-crop two more of half the size."""
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    own = slice(rank * BATCH // world, (rank + 1) * BATCH // world)
    rng = torch.Generator().manual_seed(100 + step)
    sizes = [SIZE, SIZE, *[SIZE // 2] * (2 if name in TWO_SIZES else 0)]
    base = torch.randn(BATCH, 3, SIZE, SIZE, generator=rng)
    drawn = [
        base[..., :size, :size] + 0.3 * torch.randn(BATCH, 3, size, size, generator=rng) for size in sizes
    ]
    return [view[own].double() for view in drawn]


def run_ours(name: str, *, steps: int = STEPS, **more: Any) -> dict[str, Any]:
    """Losses, gradients of the first step, and all tensors after twenty, by the names of the row's files."""
    row = tiny_row(name, **more)
    rests = [("prototypes.", RESTS[name])] if name in RESTS else []
    return trained(row, tiny_method(row), partial(views_of, name), steps, CLIP.get(name), rests)


def trained(
    row: Published,
    method: Any,
    views: Callable[[int], list[Tensor]],
    steps: int,
    clip: float | None,
    rests: Sequence[tuple[str, int]],
) -> dict[str, Any]:
    """The same of any method; `rests` are beginnings of names, and the iterations for which they stay."""
    called: Any = method
    if dist.is_initialized() and dist.get_world_size() > 1:
        called = nn.parallel.DistributedDataParallel(method, broadcast_buffers=False)
    sgd = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], LR, momentum=0.9)
    resting = [
        ([p for n, p in method.named_parameters() if n.startswith(part)], until) for part, until in rests
    ]
    updates = Updates(sgd, [lambda _: LR], torch.device("cpu"), clip=clip, resting=resting)
    result: dict[str, Any] = {"losses": []}
    for number in range(steps):
        updates.set_rates(number)
        rng = torch.Generator().manual_seed(number)
        loss, _ = called(views(number), torch.arange(BATCH), rng, Step(number, STEPS))
        updates.step(loss)
        if not number:
            grads = {n: p.grad.clone() for n, p in method.named_parameters() if p.grad is not None}
            result["gradients"] = flat(row.layout.written(grads))
        method.after_step()
        result["losses"].append(loss.item())
        if number + 1 in (EARLY, steps):
            tensors = {key: value.clone() for key, value in method.state_dict().items()}
            result["state" if number + 1 == steps else "early"] = flat(row.layout.written(tensors))
    return result


def flat(entries: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{entry}/{name}": value for entry, inside in entries.items() for name, value in inside.items()}


def digest(result: dict[str, Any]) -> dict[str, Any]:
    """A result in few numbers: of each tensor its product with a fixed wave."""
    waves = {
        part: {name: _wave(value) for name, value in result[part].items()} for part in ("gradients", "state")
    }
    return {"losses": result["losses"], **waves}


def _wave(value: Tensor) -> float:
    flattened = value.detach().double().flatten()
    return float(flattened @ torch.cos(torch.arange(len(flattened), dtype=torch.float64)))
