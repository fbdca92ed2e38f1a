"""Momentum Contrast: Algorithm 1 of arXiv 1911.05722, with its letters (q, k, K, m, T).

State-dict names are those of the published code (`encoder_q.*`, `encoder_k.*`, `queue`, `queue_ptr`). The
class runs on whatever device its input is on, in one process or in several.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.networks.encoders import add_mlp_head
from pretrain.process import distributed


class MoCo(nn.Module):
    """A query encoder, its momentum average, and a queue of the latest keys."""

    queue: Tensor  # CxK
    queue_ptr: Tensor  # 1: the column that the next key replaces

    def __init__(
        self,
        make_encoder: Callable[[], nn.Module],
        dim: int = 128,
        K: int = 65536,
        m: float = 0.999,
        T: float = 0.07,
        mlp: bool = False,
        shuffle: bool = True,
    ) -> None:
        """`make_encoder` makes a fresh encoder with `dim` outputs; `shuffle=False` is the ablation of
        shuffling BN.

        dim: feature dimension; K: keys in the queue; m: momentum of the key encoder; T: softmax temperature.
        """
        super().__init__()
        self.K, self.m, self.T, self.shuffle = K, m, T, shuffle
        self.encoder_q, self.encoder_k = make_pair(make_encoder, mlp)
        self.encoder_k.requires_grad_(False)
        self.register_buffer("queue", F.normalize(torch.randn(dim, K), dim=0))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))

    def forward(
        self, im_q: Tensor, im_k: Tensor, index: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Two views Nx3xHxW of a batch to logits Nx(1+K) and labels N (all 0: the positive comes first).

        `rng` is a CPU generator in the same state in every process. `index`, the images' numbers, is not
        used.
        """
        q = F.normalize(
            self.encoder_q(im_q).to(self.queue.dtype), dim=1
        )  # nxC: n of the N images of all processes

        with torch.no_grad():  # no gradient to keys
            self.update_key_encoder()
            order = shuffle_order(im_k, rng) if self.shuffle else None
            k = self.encoder_k(take(im_k, order))  # nxC: keys of other images than q's, for BatchNorm's sake
            k = F.normalize(k.to(self.queue.dtype), dim=1)
            keys = restore(k, order)  # NxC: of all processes, in the order of the queries
            k = keys[distributed.my_slice(len(keys))]  # nxC

        with full_precision(q):  # half precision would copy the whole queue at every step
            l_pos = torch.einsum("nc,nc->n", q, k).unsqueeze(-1)  # nx1
            l_neg = torch.einsum("nc,ck->nk", q, self.queue)  # nxK
            logits = torch.cat([l_pos, l_neg], dim=1).div_(self.T)  # nx(1+K)
        labels = torch.zeros(len(logits), dtype=torch.long, device=logits.device)

        after_gradient_of(q, lambda: self.enqueue(keys))
        return logits, labels

    @torch.no_grad()
    def update_key_encoder(self) -> None:
        """f_k = m * f_k + (1 - m) * f_q, fused over all tensors. BatchNorm statistics are not averaged
        (published code).
        """
        torch._foreach_lerp_(list(self.encoder_k.parameters()), list(self.encoder_q.parameters()), 1 - self.m)

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Replaces the oldest keys (NxC of all processes); the pointer stays on the device, so the host
        never waits.
        """
        slots = (self.queue_ptr + torch.arange(len(keys), device=keys.device)) % self.K
        self.queue.index_copy_(1, slots, keys.T)
        self.queue_ptr.add_(len(keys)).remainder_(self.K)


def make_pair(make_encoder: Callable[[], nn.Module], mlp: bool) -> tuple[nn.Module, nn.Module]:
    """Two encoders with equal weights. The order of the random draws is that of the published code."""
    encoder_q, encoder_k = make_encoder(), make_encoder()
    if mlp:
        add_mlp_head(encoder_q)
        add_mlp_head(encoder_k)
    encoder_k.load_state_dict(encoder_q.state_dict())
    return encoder_q, encoder_k


def after_gradient_of(q: Tensor, action: Callable[[], None]) -> None:
    """Runs `action` once the gradient of q is known, or at once where none will be.

    The backward pass of the logits reads the queue. Writing the new keys only after it spares the copy of the
    queue (32 MB a step at K = 65536) that the published code makes, and is the order of Algorithm 1.
    """
    if q.requires_grad:
        q.register_hook(lambda _: action())
    else:
        action()


def full_precision(x: Tensor) -> torch.autocast:
    return torch.autocast(x.device.type, enabled=False)


def shuffle_order(x: Tensor, rng: torch.Generator) -> Tensor:
    """A permutation of the global batch, the same in every process because `rng` is."""
    return torch.randperm(len(x) * distributed.world_size(), generator=rng).to(x.device, non_blocking=True)


def take(x: Tensor, order: Tensor | None) -> Tensor:
    """This process's rows of the shuffled global batch; x itself without a shuffle."""
    if order is None:
        return x
    return distributed.gather(x)[order[distributed.my_slice(len(order))]]


def restore(
    x: Tensor, order: Tensor | None, gather: Callable[[Tensor], Tensor] = distributed.gather
) -> Tensor:
    """The rows of all processes, brought back from the shuffled to the original order."""
    return gather(x) if order is None else gather(x)[torch.argsort(order)]
