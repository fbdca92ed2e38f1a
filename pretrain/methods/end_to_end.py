"""Implements the end-to-end mechanism of the paper's figure 2a: the batch is the dictionary."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.images.draws import Views
from pretrain.images.sources import ImageSet
from pretrain.methods.base import EncoderFactory, Method, Step
from pretrain.methods.options import ContrastOptions
from pretrain.methods.parts import (
    ACCURACIES,
    full_precision,
    make_pair,
    require_groups,
    shuffle,
    softmax_loss,
    unshuffle,
)
from pretrain.process import distributed


class EndToEnd(Method[ContrastOptions]):
    """Two encoders, both trained by the gradient; the other keys of the batch are the negatives."""

    figures = ACCURACIES
    splits_batch = True

    def __init__(
        self, make_encoder: Callable[[], nn.Module], T: float = 0.07, mlp: bool = False, shuffle: bool = True
    ) -> None:
        super().__init__()
        self.T, self.shuffle = T, shuffle
        self.encoder_q, self.encoder_k = make_pair(make_encoder, mlp)

    @classmethod
    def build(cls, options: ContrastOptions, make_encoder: EncoderFactory, images: ImageSet) -> EndToEnd:
        encoders = make_encoder(dim=options.moco_dim)
        return cls(encoders, T=options.moco_t, mlp=options.mlp, shuffle=options.shuffle_bn)

    @classmethod
    def views(cls, options: ContrastOptions, image_size: int) -> tuple[Views, ...]:
        return (Views(2, options.recipe, image_size),)

    @classmethod
    def check(cls, options: ContrastOptions, images: ImageSet, batch_size: int, groups: int) -> None:
        require_groups(options.shuffle_bn, groups)

    def forward(
        self, views: list[Tensor], index: Tensor, rng: torch.Generator, step: Step
    ) -> tuple[Tensor, dict[str, Tensor]]:
        im_q, im_k = views
        return softmax_loss(*self.contrast(im_q, im_k, rng))

    def contrast(self, im_q: Tensor, im_k: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Turns two views nx3xHxW into logits nxN and labels n; N are the images of all processes."""
        q = F.normalize(self.encoder_q(im_q).float(), dim=1)  # nxC

        gather = distributed.gather_with_gradient
        if self.shuffle:  # batch statistics give the positive away here too (section 3.3)
            im_k, order = shuffle(im_k, rng)
        k = F.normalize(self.encoder_k(im_k).float(), dim=1)  # nxC
        keys = unshuffle(k, order, gather) if self.shuffle else gather(k)  # NxC

        with full_precision(q):
            logits = torch.einsum("nc,kc->nk", q, keys).div_(self.T)  # nxN
        own = distributed.my_slice(len(keys))
        return logits, torch.arange(own.start, own.stop, device=logits.device)
