"""Implements Momentum Contrast: Algorithm 1 of arXiv 1911.05722, with its letters (q, k, K, m, T).

State-dict names are those of the published code (`encoder_q.*`, `encoder_k.*`, `queue`, `queue_ptr`). The
class runs on whatever device its input is on, in one process or in several.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.errors import PretrainError
from pretrain.images.draws import Views
from pretrain.images.sources import ImageSet
from pretrain.methods.base import EncoderFactory, Method, Step
from pretrain.methods.options import ContrastOptions
from pretrain.methods.parts import (
    ACCURACIES,
    enqueue,
    full_precision,
    make_pair,
    require_groups,
    shuffle,
    softmax_loss,
    unshuffle,
)
from pretrain.process import distributed


class MoCo(Method[ContrastOptions]):
    """A query encoder, its momentum average, and a queue of the latest keys."""

    figures = ACCURACIES
    splits_batch = True
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
        """`make_encoder` makes a fresh encoder with `dim` outputs; `shuffle=False` is the paper's ablation.

        dim: feature dimension; K: keys in the queue; m: momentum of the key encoder; T: softmax temperature.
        """
        super().__init__()
        self.K, self.m, self.T, self.shuffle = K, m, T, shuffle
        self.encoder_q, self.encoder_k = make_pair(make_encoder, mlp)
        self.encoder_k.requires_grad_(False)
        self.register_buffer("queue", F.normalize(torch.randn(dim, K), dim=0))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))

    @classmethod
    def build(cls, options: ContrastOptions, make_encoder: EncoderFactory, images: ImageSet) -> MoCo:
        return cls(
            make_encoder(dim=options.moco_dim),
            dim=options.moco_dim,
            K=options.moco_k,
            m=options.moco_m,
            T=options.moco_t,
            mlp=options.mlp,
            shuffle=options.shuffle_bn,
        )

    @classmethod
    def views(cls, options: ContrastOptions, image_size: int) -> tuple[Views, ...]:
        return (Views(2, options.recipe, image_size),)

    @classmethod
    def check(cls, options: ContrastOptions, images: ImageSet, batch_size: int, groups: int) -> None:
        require_groups(options.shuffle_bn, groups)
        if options.moco_k % batch_size:
            nearest = max(1, round(options.moco_k / batch_size)) * batch_size
            raise PretrainError(
                f"--moco-k {options.moco_k} is not a multiple of the batch of {batch_size}; "
                f"nearest valid: {nearest}"
            )

    def forward(
        self, views: list[Tensor], index: Tensor, rng: torch.Generator, step: Step
    ) -> tuple[Tensor, dict[str, Tensor]]:
        im_q, im_k = views
        return softmax_loss(*self.contrast(im_q, im_k, rng))

    def contrast(self, im_q: Tensor, im_k: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Turns two views nx3xHxW into logits nx(1+K) and labels n, all 0, for the positive comes first.

        n are this process's of the N images of all processes; `rng` is in the same state in each of them.
        """
        q = self.encoder_q(im_q).to(self.queue.dtype)
        q = F.normalize(q, dim=1)  # nxC

        with torch.no_grad():  # no gradient to keys
            self.update_key_encoder()
            if self.shuffle:  # keys are normalised beside other images than their queries
                im_k, order = shuffle(im_k, rng)
            k = self.encoder_k(im_k).to(self.queue.dtype)
            k = F.normalize(k, dim=1)  # nxC
            keys = unshuffle(k, order) if self.shuffle else distributed.gather(k)  # NxC
            k = keys[distributed.my_slice(len(keys))]  # nxC: those of q's images

        with full_precision(q):  # half precision would copy the whole queue at every step
            l_pos = torch.einsum("nc,nc->n", q, k).unsqueeze(-1)  # nx1
            l_neg = torch.einsum("nc,ck->nk", q, self.queue)  # nxK
            logits = torch.cat([l_pos, l_neg], dim=1).div_(self.T)  # nx(1+K)
        labels = torch.zeros(len(logits), dtype=torch.long, device=logits.device)

        self.keys = keys  # enqueued after the step, for the backward pass still reads the queue
        return logits, labels

    def after_step(self) -> None:
        """Enqueues the keys of the step, as Algorithm 1 does it: after the update of the encoder.

        The published code enqueues in `forward`, and copies the queue (32 MB at K = 65536) at every step for
        the backward pass.
        """
        enqueue(self.queue, self.queue_ptr, self.keys)

    @torch.no_grad()
    def update_key_encoder(self) -> None:
        """f_k = m * f_k + (1 - m) * f_q, fused over all tensors.

        BatchNorm statistics are not averaged, as in the published code.
        """
        torch._foreach_lerp_(list(self.encoder_k.parameters()), list(self.encoder_q.parameters()), 1 - self.m)
