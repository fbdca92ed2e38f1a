"""An engine of one weight for tests of the loop: losses of the images' means, faults where they are due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from yacs.config import CfgNode

from transfer.samples.detection import Sample


@dataclass(frozen=True)
class Fault:
    """A part to break, when and where: loss, gradient, nan gradient, weight, forward, memory or data."""

    what: str
    iteration: int
    rank: int = 0


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
