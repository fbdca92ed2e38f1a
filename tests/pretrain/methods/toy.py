"""A method for the tests: what a contributor writes, besides a row in `choose.METHODS`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import torch
from torch import Tensor

from pretrain.errors import PretrainError
from pretrain.images.draws import Views
from pretrain.images.sources import ImageSet
from pretrain.methods.base import EncoderFactory, Method, Step
from pretrain.methods.options import MethodOptions
from pretrain.options import positive


@dataclass(frozen=True)
class ToyOptions(MethodOptions):
    title = "toy"

    toy_dim: int

    @staticmethod
    def add_to(group: argparse._ArgumentGroup) -> None:
        group.add_argument("--toy-dim", type=positive, default=4)


class Toy(Method[ToyOptions]):
    """Pulls the features of a small view to those of a large one. It has no negatives and no accuracy."""

    figures = ("spread",)
    encoder_name = "online"
    key_encoder_name = "target"
    calls: Tensor  # steps that `after_step` has seen
    progress: Tensor  # what `forward` was told last

    def __init__(self, make_encoder: EncoderFactory, dim: int) -> None:
        super().__init__()
        self.online, self.target = make_encoder(dim=dim)(), make_encoder(dim=dim)()
        self.target.requires_grad_(False)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("progress", torch.zeros(2))

    @classmethod
    def build(cls, options: ToyOptions, make_encoder: EncoderFactory, images: ImageSet) -> Toy:
        return cls(make_encoder, options.toy_dim)

    @classmethod
    def views(cls, options: ToyOptions, image_size: int) -> tuple[Views, ...]:
        return Views(1, "v1", image_size), Views(2, "v2", image_size // 2)

    @classmethod
    def check(cls, options: ToyOptions, images: ImageSet, batch_size: int, groups: int) -> None:
        if options.toy_dim > batch_size:
            raise PretrainError(f"--toy-dim {options.toy_dim}: expected at most the batch of {batch_size}")

    def forward(
        self, views: list[Tensor], index: Tensor, rng: torch.Generator, step: Step
    ) -> tuple[Tensor, dict[str, Tensor]]:
        large, *small = views
        with torch.no_grad():
            goal = self.target(large)
            self.progress.copy_(torch.tensor([step.done, step.total]))
        loss = sum(((self.online(view) - goal) ** 2).mean() for view in small)
        return loss, {"spread": goal.std()}

    @torch.no_grad()
    def after_step(self) -> None:
        for mine, theirs in zip(self.target.parameters(), self.online.parameters(), strict=True):
            mine.lerp_(theirs, 0.5)
        self.calls += 1
