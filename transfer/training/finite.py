"""What stops a run before a bad number reaches weights or disk: one look per step, alike on all ranks.

A step's losses, the norms of gradients and weights and the local flags travel as one vector: one sum over the
processes, one read by the host. A NaN anywhere makes the sum NaN everywhere, so all ranks stop together and
none waits in a collective for one that has gone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from transfer.errors import TransferError
from transfer.samples.detection import Sample

ADVICE = "lower SOLVER.BASE_LR"


@dataclass(frozen=True)
class Step:
    """What one step came to, equal on all ranks: losses and total are means over processes, the rest sums."""

    losses: dict[str, float]
    total: float
    gradient: float  # sum of the norms; only whether it is finite is looked at
    weights: float  # the same, before the step
    bad_input: float  # processes whose next input is not finite
    stop: float  # processes that were asked to stop

    @property
    def good(self) -> bool:
        return self.good_but_for_gradient and math.isfinite(self.gradient)

    @property
    def good_but_for_gradient(self) -> bool:
        return math.isfinite(self.total) and math.isfinite(self.weights)


def bad_input(batch: Iterable[Sample]) -> str:
    """What of a batch is not finite, in words; empty for a good one. Looks at host memory only."""
    for sample in batch:
        for field in fields(sample):
            for tensor in _tensors(getattr(sample, field.name)):
                if tensor.is_floating_point() and not tensor.isfinite().all():
                    return f"{field.name} of image {sample.image_id}"
    return ""


def norm_of(tensors: Sequence[Tensor], device: torch.device) -> Tensor:
    """Euclidean norm over all of them, (), on the device; not finite if one entry is not."""
    return torch.nn.utils.get_total_norm(tensors).float() if tensors else torch.zeros((), device=device)


def weights_norm(model: nn.Module, device: torch.device) -> Tensor:
    """Norm of all parameters and running statistics."""
    return norm_of([t for _, t in _weights(model)], device)


def gradients_norm(model: nn.Module, device: torch.device) -> Tensor:
    """Norm of all gradients; under DDP they are the mean of all ranks already."""
    return norm_of([p.grad for p in model.parameters() if p.grad is not None], device)


def look(
    losses: Mapping[str, Tensor], gradient: Tensor, weights: Tensor, bad: bool, stop: bool, world_size: int
) -> Step:
    """The step's numbers on the host, after one sum over the processes."""
    flags = gradient.new_tensor([float(bad), float(stop)])
    vector = torch.cat(
        [torch.stack([*(v.detach().float() for v in losses.values()), gradient, weights]), flags]
    )
    if world_size > 1:
        dist.all_reduce(vector)
    *parts, gradient_norm, weight_norm, bad_input_sum, stop_sum = vector.tolist()
    means = [part / world_size for part in parts]
    return Step(
        dict(zip(losses, means, strict=True)), sum(means), gradient_norm, weight_norm, bad_input_sum, stop_sum
    )


def refuse(
    step: Step, iteration: int, model: nn.Module, losses: Mapping[str, Tensor], world_size: int
) -> None:
    """Raises FloatingPointError that names iteration and tensor; every rank must call it, and raises."""
    found = _of_all_ranks(_culprits(losses, model), world_size)
    raise FloatingPointError(
        f"iteration {iteration}: {', '.join(found) or _whole(step)} not finite; {ADVICE}"
    )


def agree_on_input(bad: str, iteration: int, world_size: int) -> None:
    """Raises FloatingPointError where any rank's input for `iteration` is bad; every rank must call it."""
    found = _of_all_ranks([bad] if bad else [], world_size)
    if found:
        raise FloatingPointError(
            f"iteration {iteration}: input not finite: {', '.join(found)}; repair the annotation"
        )


def refuse_weights(model: nn.Module, iteration: int, world_size: int) -> None:
    """Raises FloatingPointError where any rank has a weight that is not finite after `iteration`.

    Before a save or a result; every rank must call it.
    """
    found = _of_all_ranks(_bad_weights(model)[:1], world_size)
    if found:
        raise FloatingPointError(f"iteration {iteration}: {', '.join(found)} not finite; {ADVICE}")


@contextmanager
def memory_advice(where: str, image_size_key: str) -> Iterator[None]:
    """Turns an allocation that failed into one line that says what to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        found = re.search(r"[Tt]ried to allocate [\d.]+ \w+", str(error))
        asked = found.group() if found else "an allocation failed"
        raise TransferError(
            f"{where}: out of GPU memory ({asked}); lower SOLVER.IMS_PER_BATCH, "
            f"keep the batch by --accumulate or more --num-gpus, or lower {image_size_key}; the last "
            "checkpoint is kept"
        ) from None


def _weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in model.state_dict(keep_vars=True).items():
        if tensor.is_floating_point():
            yield name, tensor.detach()


def _culprits(losses: Mapping[str, Tensor], model: nn.Module) -> list[str]:
    """What is not finite here: the first weight, else the losses, else the first gradient; each its cause."""
    weights = _bad_weights(model)
    if weights:
        return weights[:1]
    found = [f"{name} = {float(loss)}" for name, loss in losses.items() if not torch.isfinite(loss)]
    if found:
        return found
    gradients = ((name, p.grad) for name, p in model.named_parameters() if p.grad is not None)
    return [f"gradient of {name}" for name, g in gradients if not g.isfinite().all()][:1]


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


def _of_all_ranks(said: list[str], world_size: int) -> list[str]:
    """Every rank's findings, each once; a lone one on another rank is named with it."""
    if world_size == 1:
        return said
    parts: list[list[str]] = [[] for _ in range(world_size)]
    dist.all_gather_object(parts, said)
    named = {text: rank for rank, part in reversed(list(enumerate(parts))) for text in part}
    return [f"{text} (process {rank})" for text, rank in sorted(named.items(), key=lambda item: item[1])]


def _whole(step: Step) -> str:
    return "the sum of the losses" if not math.isfinite(step.total) else "the norm of gradients or weights"
