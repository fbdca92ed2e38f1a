"""An engine of one weight and its data for tests of the loop: losses of the images' means, and faults."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from yacs.config import CfgNode

from transfer.process.distributed import World
from transfer.samples.sample import Sample
from transfer.training.loop import Batches


@dataclass(frozen=True)
class Fault:
    """Breaks loss, gradient, nan gradient, weight, forward, memory or input once, in one process."""

    what: str
    iteration: int
    rank: int = 0


def fake_sample(number: int) -> Sample:
    """An image of 4 x 4 pixels and one object, drawn from its number."""
    generator = torch.Generator().manual_seed(number)
    image = torch.randint(0, 255, (3, 4, 4), dtype=torch.uint8, generator=generator)
    return Sample(image, torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([1]), f"image{number}", 4, 4)


def fake_batches(world: World, fault: Fault | None = None) -> Batches:
    """Two images a process and iteration, numbered by their place."""

    def batches(start: int) -> Iterator[list[Sample]]:
        for iteration in itertools.count(start):
            place = iteration * world.size + world.rank
            made = [fake_sample(2 * place), fake_sample(2 * place + 1)]
            if fault and (fault.what, fault.iteration, fault.rank) == ("input", iteration, world.rank):
                broken = torch.tensor([[0.0, float("nan"), 2.0, 2.0]])
                made[1] = dataclasses.replace(made[1], boxes=broken)
            yield made

    return batches


class _BrokenGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return grad * ctx.factor, None


class FakeEngine:
    """See `transfer.engines.base.Engine`; counts its iterations from `start`."""

    name = "fake"

    def __init__(self, fault: Fault | None = None, rank: int = 0, start: int = 0):
        self.fault, self.rank, self.iteration = fault, rank, start

    def _now(self, what: str) -> bool:
        f = self.fault
        return f is not None and (f.what, f.iteration, f.rank) == (what, self.iteration, self.rank)

    def build(self, cfg: CfgNode, device: torch.device) -> nn.Module:
        return nn.Linear(1, 1).to(device)

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        return dict(model.state_dict())

    def load_state(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        model.load_state_dict(state)

    def solver(self, cfg: CfgNode, model: nn.Module) -> tuple[Any, Any]:
        optimizer = torch.optim.SGD(model.parameters(), lr=cfg.SOLVER.BASE_LR, momentum=cfg.SOLVER.MOMENTUM)

        def after(*_: Any) -> None:
            f = self.fault
            if f and (f.what, f.iteration + 1, f.rank) == ("weight", self.iteration, self.rank):
                next(iter(model.parameters())).data.fill_(float("nan"))

        optimizer.register_step_post_hook(after)
        return optimizer, LambdaLR(optimizer, lambda _: 1.0)

    def losses(self, model: nn.Module, batch: Sequence[Sample]) -> dict[str, Tensor]:
        if self._now("memory"):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1 GiB.")
        if self._now("forward"):
            raise FloatingPointError("predicted boxes contain NaN")
        x = torch.stack([s.image.float().mean() for s in batch])[:, None] / 255
        out = model(x)
        for what, factor in (("gradient", float("inf")), ("nan gradient", float("nan"))):
            if self._now(what):
                out = _BrokenGradient.apply(out, factor)
        loss = (out * out).mean()
        if self._now("loss"):
            loss = loss * float("nan")
        self.iteration += 1
        return {"loss_a": loss, "loss_b": 0.5 * out.abs().mean()}
