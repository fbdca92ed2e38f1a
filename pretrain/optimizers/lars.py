"""Implements layer-wise adaptive rates (LARS, arXiv 1708.03888) as the published codes have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

IN_CACHE = 2**18  # weights


class LARS(torch.optim.Optimizer):
    """SGD whose gradient of each parameter is scaled to a share of the parameter's own norm.

    A group with `adapt` false is plain SGD. Per parameter w with gradient g and decay d:

    - "lars": g + d w, times eta |w| / |g + d w|; v = mu v + g; w -= lr v (BYOL, Barlow, VICReg, MoCo v3)
    - "lars_tf": the same ratio; v = mu v + lr g; w -= v (SimCLR), which differs while the rate changes
    - "larc": g + d w, times eta |w| / (|g| + d |w| + eps); v and w as "lars" (apex, SwAV)

    Where a norm is zero the ratio is 1, and "larc" then does not decay either. Many tensors go through each
    operation together, and the host waits for no norm.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        kind: str = "lars",
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        eta: float = 0.001,
        eps: float = 1e-8,
    ) -> None:
        self._kind = kind
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "eta": eta,
            "eps": eps,
            "adapt": True,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no line search
        """Moves every parameter that has a gradient."""
        for group in self.param_groups:
            weights = [parameter for parameter in group["params"] if parameter.grad is not None]
            for some in _portions(weights):
                self._move(some, group)

    def _move(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        moves = list(
            self._scaled(weights, [weight.grad for weight in weights if weight.grad is not None], group)
        )
        momenta = [self._momentum(weight) for weight in weights]
        torch._foreach_mul_(momenta, group["momentum"])
        if self._kind == "lars_tf":
            torch._foreach_add_(momenta, moves, alpha=group["lr"])
            torch._foreach_sub_(weights, momenta)
        else:
            torch._foreach_add_(momenta, moves)
            torch._foreach_add_(weights, momenta, alpha=-group["lr"])

    def _momentum(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        return state["momentum_buffer"]

    def _scaled(self, weights: list[Tensor], grads: list[Tensor], group: dict[str, Any]) -> Iterable[Tensor]:
        """The gradients with their weight decay, each by the ratio of its parameter."""
        decay = group["weight_decay"]
        decayed = torch._foreach_add(grads, weights, alpha=decay) if decay else grads
        if not group["adapt"]:
            return decayed
        larc = self._kind == "larc"
        own = torch.stack(torch._foreach_norm(weights))
        others = torch.stack(torch._foreach_norm(grads if larc else decayed))
        below = others + own * decay + group["eps"] if larc else others
        usable = (own > 0) & (others > 0)
        ratios = torch.where(usable, group["eta"] * own / below, 1.0)
        if larc and decay:  # apex leaves a gradient alone, decay included, where it has no ratio
            shares = torch._foreach_mul(weights, (usable * decay).unbind())
            decayed = torch._foreach_add(grads, shares)
        if decayed is grads:
            return torch._foreach_mul(grads, ratios.unbind())
        torch._foreach_mul_(decayed, ratios.unbind())
        return decayed


def _portions(weights: list[Tensor]) -> Iterator[list[Tensor]]:
    """All weights at once on a GPU, whose launches cost; on a CPU as many as stay in its cache meanwhile."""
    if not weights or weights[0].is_cuda:
        yield from [weights] * bool(weights)
        return
    some: list[Tensor] = []
    for weight in weights:
        some.append(weight)
        if sum(map(Tensor.numel, some)) >= IN_CACHE:
            yield some
            some = []
    if some:
        yield some
