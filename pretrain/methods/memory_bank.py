"""Implements the memory bank that the paper compares with MoCo (figure 2b): Wu et al. 2018, InstDisc."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.images.draws import Views
from pretrain.images.sources import ImageSet
from pretrain.methods.base import EncoderFactory, Method, Step
from pretrain.methods.options import ContrastOptions
from pretrain.methods.parts import ACCURACIES, full_precision, softmax_loss
from pretrain.networks.encoders import add_mlp_head
from pretrain.process import distributed


class MemoryBank(Method[ContrastOptions]):
    """One encoder. Keys are stored features of all images, drawn at random, as old as their last visit."""

    figures = ACCURACIES
    memory_bank: Tensor  # MxC: one row an image of the data set

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

    @classmethod
    def build(cls, options: ContrastOptions, make_encoder: EncoderFactory, images: ImageSet) -> MemoryBank:
        return cls(
            make_encoder(dim=options.moco_dim),
            len(images),
            dim=options.moco_dim,
            K=options.moco_k,
            m=options.bank_m,
            T=options.moco_t,
            mlp=options.mlp,
        )

    @classmethod
    def views(cls, options: ContrastOptions, image_size: int) -> tuple[Views, ...]:
        return (Views(1, options.recipe, image_size),)

    def forward(
        self, views: list[Tensor], index: Tensor, rng: torch.Generator, step: Step
    ) -> tuple[Tensor, dict[str, Tensor]]:
        (im_q,) = views
        return softmax_loss(*self.contrast(im_q, index, rng))

    def contrast(self, im_q: Tensor, index: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Turns one view nx3xHxW and the images' numbers n into logits nx(1+K) and labels n, all 0."""
        q = F.normalize(self.encoder_q(im_q).float(), dim=1)  # nxC

        chosen = torch.randint(len(self.memory_bank), (self.K,), generator=rng)
        k = self.memory_bank[index]  # nxC: each image's own entry
        negatives = self.memory_bank[chosen.to(q.device, non_blocking=True)]  # KxC

        with full_precision(q):
            l_pos = torch.einsum("nc,nc->n", q, k).unsqueeze(-1)  # nx1
            l_neg = torch.einsum("nc,kc->nk", q, negatives)  # nxK
            logits = torch.cat([l_pos, l_neg], dim=1).div_(self.T)  # nx(1+K)
        labels = torch.zeros(len(logits), dtype=torch.long, device=logits.device)

        self.visited = distributed.gather(index), distributed.gather(q.detach())  # N, NxC
        return logits, labels

    @torch.no_grad()
    def after_step(self) -> None:
        """v = m * v + (1 - m) * q, back on the unit sphere, for the images of the step."""
        index, features = self.visited
        mixed = self.m * self.memory_bank[index] + (1 - self.m) * features
        self.memory_bank.index_copy_(0, index, F.normalize(mixed, dim=1))
