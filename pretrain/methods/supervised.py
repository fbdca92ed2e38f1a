"""Implements supervised training: the paper's baseline (section 4), on the images that the others see."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pretrain.errors import PretrainError
from pretrain.images.draws import Views
from pretrain.images.sources import ImageSet
from pretrain.methods.base import EncoderFactory, Method, Step
from pretrain.methods.options import SupervisedOptions
from pretrain.methods.parts import softmax_loss


class Supervised(Method[SupervisedOptions]):
    """Classifies one view of each image; its last layer has an output for each class folder."""

    figures = ("acc1",)
    encoder_name = key_encoder_name = "supervised"
    labels: Tensor  # N: the class number of every image of the data set; not kept in files

    def __init__(self, make_encoder: EncoderFactory, labels: Tensor, num_classes: int) -> None:
        super().__init__()
        self.supervised: nn.Module = make_encoder(dim=num_classes)()
        self.register_buffer("labels", labels, persistent=False)

    @classmethod
    def build(cls, options: SupervisedOptions, make_encoder: EncoderFactory, images: ImageSet) -> Supervised:
        return cls(make_encoder, torch.tensor(images.labels()), len(images.classes))

    @classmethod
    def check(cls, options: SupervisedOptions, images: ImageSet, batch_size: int, groups: int) -> None:
        if len(images.classes) < 2:
            found = "images without a class" if not images.classes else f"one class, {images.classes[0]}"
            raise PretrainError(
                f"--mechanism supervised needs labels of two or more classes; found {found}; give a folder "
                "for each class, or a list or shards with labels"
            )

    @classmethod
    def views(cls, options: SupervisedOptions, image_size: int) -> tuple[Views, ...]:
        return (Views(1, "linear", image_size),)

    def forward(
        self, views: list[Tensor], index: Tensor, rng: torch.Generator, step: Step
    ) -> tuple[Tensor, dict[str, Tensor]]:
        (images,) = views
        logits = self.supervised(images).to(images.dtype)  # half precision ends here
        loss, accuracies = softmax_loss(logits, self.labels[index])
        return loss, {"acc1": accuracies["acc1"]}
