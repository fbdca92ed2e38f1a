"""Provides the parts that contrastive methods share: a pair of encoders, shuffling BN, the softmax loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.errors import PretrainError
from pretrain.networks.encoders import add_mlp_head
from pretrain.process import distributed

ACCURACIES = ("acc1", "acc5")  # the figures of `softmax_loss`


def make_pair(make_encoder: Callable[[], nn.Module], mlp: bool) -> tuple[nn.Module, nn.Module]:
    """Makes two encoders with equal weights. The order of the random draws is that of the published code."""
    encoder_q, encoder_k = make_encoder(), make_encoder()
    if mlp:
        add_mlp_head(encoder_q)
        add_mlp_head(encoder_k)
    encoder_k.load_state_dict(encoder_q.state_dict())
    return encoder_q, encoder_k


def full_precision(x: Tensor) -> torch.autocast:
    """Turns autocast off on the device of `x`."""
    return torch.autocast(x.device.type, enabled=False)


def shuffle(x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Exchanges rows between the processes at random (shuffling BN, section 3.3 of the paper).

    x: this process's n of the N rows of all; returns n others and the permutation (N), which is the same in
    every process because `rng` is.
    """
    size = len(x) * distributed.world_size()
    order = torch.randperm(size, generator=rng).to(x.device, non_blocking=True)
    return distributed.gather(x)[order[distributed.my_slice(size)]], order


def unshuffle(x: Tensor, order: Tensor, gather: Callable[[Tensor], Tensor] = distributed.gather) -> Tensor:
    """Undoes `shuffle`: n rows of each process to the N rows of all, in their first order."""
    return gather(x)[torch.argsort(order)]


@torch.no_grad()
def enqueue(queue: Tensor, queue_ptr: Tensor, rows: Tensor) -> None:
    """Replaces the oldest columns of a queue CxK by NxC new rows, which are those of all processes.

    The pointer stays on the device, so the host never waits.
    """
    size = queue.shape[1]
    slots = (queue_ptr + torch.arange(len(rows), device=rows.device)) % size
    queue.index_copy_(1, slots, rows.T.to(queue.dtype))
    queue_ptr.add_(len(rows)).remainder_(size)


def softmax_loss(logits: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy of logits NxK and labels N, with the accuracy in percent among the first 1 and 5."""
    loss = F.cross_entropy(logits, labels)
    scores = logits.detach()
    own = scores.gather(1, labels[:, None])
    better = (scores > own).sum(1)  # how many beat the positive: cheaper than a top-5 over 65 537 columns
    accuracies = [(better < among).float().mean() * 100 for among in (1, 5)]
    return loss, dict(zip(ACCURACIES, accuracies, strict=True))


def require_groups(shuffled: bool, groups: int) -> None:
    """Raises PretrainError where shuffling would have nothing to shuffle between."""
    if shuffled and groups == 1:
        raise PretrainError(
            "--bn-groups 1 in one process: permuting a batch that is normalised as a whole changes no "
            "statistic, so shuffling BN would do nothing; use 2 or more groups or --no-shuffle-bn"
        )
