"""The two mechanisms that the paper compares with MoCo (its figure 2), behind the same call.

Memory bank: Wu et al. 2018 (InstDisc). End-to-end: the other keys of the batch are the dictionary.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.methods.moco import (
    MoCo,
    after_gradient_of,
    full_precision,
    make_pair,
    restore,
    shuffle_order,
    take,
)
from pretrain.networks.encoders import add_mlp_head
from pretrain.process import distributed


class MemoryBank(nn.Module):
    """One encoder; keys are stored features of the whole data set, sampled at random, each as old as its
    last visit.
    """

    memory_bank: Tensor  # MxC

    def __init__(
        self,
        make_encoder: Callable[[], nn.Module],
        num_images: int,
        dim: int = 128,
        K: int = 65536,
        m: float = 0.5,
        T: float = 0.07,
        mlp: bool = False,
    ) -> None:
        """m is the momentum of the stored features (InstDisc: 0.5), not of an encoder."""
        super().__init__()
        self.K, self.m, self.T = K, m, T
        self.encoder_q = make_encoder()
        if mlp:
            add_mlp_head(self.encoder_q)
        self.register_buffer("memory_bank", F.normalize(torch.randn(num_images, dim), dim=1))

    def forward(
        self, im_q: Tensor, im_k: Tensor, index: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """One view Nx3xHxW and the images' numbers N to logits Nx(1+K), labels N; `im_k` is not used (figure
        2b).
        """
        q = F.normalize(self.encoder_q(im_q).float(), dim=1)  # NxC

        chosen = torch.randint(len(self.memory_bank), (self.K,), generator=rng).to(
            q.device, non_blocking=True
        )
        k = self.memory_bank[index]  # NxC: each image's own entry
        negatives = self.memory_bank[chosen]  # KxC

        with full_precision(q):
            l_pos = torch.einsum("nc,nc->n", q, k).unsqueeze(-1)  # Nx1
            l_neg = torch.einsum("nc,kc->nk", q, negatives)  # NxK
            logits = torch.cat([l_pos, l_neg], dim=1).div_(self.T)  # Nx(1+K)
        labels = torch.zeros(len(logits), dtype=torch.long, device=logits.device)

        everyone, features = distributed.gather(index), distributed.gather(q.detach())
        after_gradient_of(q, lambda: self.update(everyone, features))
        return logits, labels

    @torch.no_grad()
    def update(self, index: Tensor, features: Tensor) -> None:
        """v = m * v + (1 - m) * q, back on the unit sphere, for the images of this step."""
        mixed = self.m * self.memory_bank[index] + (1 - self.m) * features
        self.memory_bank.index_copy_(0, index, F.normalize(mixed, dim=1))


class EndToEnd(nn.Module):
    """Two encoders, both trained by the gradient; the dictionary is the batch."""

    def __init__(
        self, make_encoder: Callable[[], nn.Module], T: float = 0.07, mlp: bool = False, shuffle: bool = True
    ) -> None:
        super().__init__()
        self.T, self.shuffle = T, shuffle
        self.encoder_q, self.encoder_k = make_pair(make_encoder, mlp)

    def forward(
        self, im_q: Tensor, im_k: Tensor, index: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Two views nx3xHxW to logits nxN (N: global batch) and labels n."""
        q = F.normalize(self.encoder_q(im_q).float(), dim=1)  # nxC

        order = (
            shuffle_order(im_k, rng) if self.shuffle else None
        )  # the batch statistics leak here too (section 3.3)
        k = F.normalize(self.encoder_k(take(im_k, order)).float(), dim=1)  # nxC
        keys = restore(k, order, distributed.gather_with_gradient)  # NxC

        with full_precision(q):
            logits = torch.einsum("nc,kc->nk", q, keys).div_(self.T)  # nxN
        own = distributed.my_slice(len(keys))
        return logits, torch.arange(own.start, own.stop, device=logits.device)


def make_model(
    mechanism: str,
    make_encoder: Callable[[], nn.Module],
    *,
    dim: int,
    K: int,
    m: float,
    T: float,
    mlp: bool,
    shuffle: bool,
    num_images: int,
    bank_momentum: float = 0.5,
) -> MoCo | MemoryBank | EndToEnd:
    """The model of one mechanism: "queue", "memory_bank" or "end_to_end"."""
    makers: dict[str, Callable[[], MoCo | MemoryBank | EndToEnd]] = {
        "queue": lambda: MoCo(make_encoder, dim, K, m, T, mlp, shuffle),
        "memory_bank": lambda: MemoryBank(make_encoder, num_images, dim, K, bank_momentum, T, mlp),
        "end_to_end": lambda: EndToEnd(make_encoder, T, mlp, shuffle),
    }
    return makers[mechanism]()
