"""Finds numbers that are not finite, in input, losses, gradients and weights, and says where they are.

What raises here asks all processes first, so that all raise the same line together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from transfer.samples.sample import Sample

ADVICE = "lower SOLVER.BASE_LR"


def bad_input(batch: Iterable[Sample]) -> str:
    """Names a field and an image of the batch that are not finite; empty for a good one.

    Looks at host memory only.
    """
    for sample in batch:
        for field in fields(sample):
            for tensor in _tensors(getattr(sample, field.name)):
                if tensor.is_floating_point() and not tensor.isfinite().all():
                    return f"{field.name} of image {sample.image_id}"
    return ""


def weights_norm(model: nn.Module, device: torch.device) -> Tensor:
    """Euclidean norm of all parameters and running statistics, (), on the device."""
    return _norm([t for _, t in _weights(model)], device)


def gradients_norm(model: nn.Module, device: torch.device) -> Tensor:
    """Euclidean norm of all gradients, (); under DDP they are the mean of all processes already."""
    return _norm([p.grad for p in model.parameters() if p.grad is not None], device)


def refuse_input(bad: str, iteration: int, world_size: int) -> None:
    """Raises FloatingPointError where any process's input for `iteration` is bad; every one must call it."""
    found = told_by_all([bad] if bad else [], world_size)
    if found:
        raise FloatingPointError(
            f"iteration {iteration}: input not finite: {', '.join(found)}; repair the annotation"
        )


def refuse_weights(model: nn.Module, iteration: int, world_size: int) -> None:
    """Raises FloatingPointError where any process has a weight that is not finite after `iteration`.

    Before a save or a result; every process must call it.
    """
    found = told_by_all(_bad_weights(model)[:1], world_size)
    if found:
        raise FloatingPointError(f"iteration {iteration}: {', '.join(found)} not finite; {ADVICE}")


def culprits(losses: Mapping[str, Tensor], model: nn.Module) -> list[str]:
    """Names this process's first bad weight, else its bad losses, else its first bad gradient.

    Each is the cause of those behind it.
    """
    weights = _bad_weights(model)
    if weights:
        return weights[:1]
    found = [f"{name} = {float(loss)}" for name, loss in losses.items() if not torch.isfinite(loss)]
    if found:
        return found
    gradients = ((name, p.grad) for name, p in model.named_parameters() if p.grad is not None)
    return [f"gradient of {name}" for name, g in gradients if not g.isfinite().all()][:1]


def told_by_all(said: list[str], world_size: int) -> list[str]:
    """All that any process said, each text once, with the process that said it where there are several."""
    if world_size == 1:
        return said
    parts: list[list[str]] = [[] for _ in range(world_size)]
    dist.all_gather_object(parts, said)
    named = {text: rank for rank, part in reversed(list(enumerate(parts))) for text in part}
    return [f"{text} (process {rank})" for text, rank in sorted(named.items(), key=lambda item: item[1])]


def _norm(tensors: Sequence[Tensor], device: torch.device) -> Tensor:
    """Over all of them; not finite if one entry is not."""
    return torch.nn.utils.get_total_norm(tensors).float() if tensors else torch.zeros((), device=device)


def _weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in model.state_dict(keep_vars=True).items():
        if tensor.is_floating_point():
            yield name, tensor.detach()


def _bad_weights(model: nn.Module) -> list[str]:
    return [f"weight {name}" for name, tensor in _weights(model) if not tensor.isfinite().all()]


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in a field of a sample, however nested."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, np.ndarray):
        yield torch.from_numpy(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list):
        for item in value:
            yield from _tensors(item)
