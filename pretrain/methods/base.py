"""Defines the contract of a pre-training method with everything around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from torch import Generator, Tensor, nn

from pretrain.images.draws import Views
from pretrain.images.sources import ImageSet
from pretrain.methods.options import MethodOptions

MOST_IMAGES = 512  # of a batch, for monitors; what they cost grows with the cube

Options = TypeVar("Options", bound=MethodOptions)
# make_encoder(dim=C) gives a maker of fresh encoders: images Nx3xHxW to features NxC.
EncoderFactory = Callable[..., Callable[[], nn.Module]]


@dataclass(frozen=True)
class Step:
    """The place of a training step in its run: `done` of `total` iterations are over."""

    done: int
    total: int
    per_epoch: int = 1  # iterations

    @property
    def epoch(self) -> int:
        """The epochs that are over."""
        return self.done // self.per_epoch


class Method(nn.Module, Generic[Options]):
    """A network that turns views of a batch into a loss. A subclass is a method; `choose.METHODS` lists them.

    At every iteration the loop does, on each process's share of the batch,

        loss, logs = method(views, index, rng, step)
        loss.backward()
        optimizer.step()
        method.after_step()

    All parameters of the module are given to the optimizer, which leaves those without a gradient alone.
    Parameters and buffers make the checkpoint's `state_dict`: each under its own name, after the published
    code's `module.`. Nothing else of a method is kept, so a run goes on to the bit only where that suffices.
    """

    # The names of what `forward` logs beside the loss, in the order in which they are shown.
    figures: ClassVar[tuple[str, ...]] = ()
    # The child that is evaluated and converted, and the one that `--key-encoder` means instead.
    encoder_name: ClassVar[str] = "encoder_q"
    key_encoder_name: ClassVar[str] = "encoder_k"
    # Detached tensors of the last step for monitors: "projections", the views' outputs as a list of nxC, and
    # perhaps "teacher", the targets as nxK probabilities; the first MOST_IMAGES rows of each are enough. None
    # where a method leaves nothing behind.
    last: dict[str, Any] | None = None
    splits_batch: ClassVar[bool] = False

    @classmethod
    def build(cls, options: Options, make_encoder: EncoderFactory, images: ImageSet) -> Method[Options]:
        """Makes the method with fresh weights, drawn from torch's default generator."""
        raise NotImplementedError

    @classmethod
    def views(cls, options: Options, image_size: int) -> tuple[Views, ...]:
        """The views that `forward` gets of every image: how many, by which recipe and of which size."""
        raise NotImplementedError

    @classmethod
    def splits(cls, options: Options) -> bool:
        """Whether BatchNorm should see parts of a batch in one process too, as it does in several."""
        return cls.splits_batch

    @classmethod
    def check(cls, options: Options, images: ImageSet, batch_size: int, groups: int) -> None:
        """Raises PretrainError where options do not fit the images, the batch or its BatchNorm groups.

        It is asked before anything of a run is built or written.
        """

    @property
    def encoder(self) -> nn.Module:
        """The network that is evaluated; `networks.encoders.pooled_features` knows its kind."""
        return self.get_submodule(self.encoder_name)

    def forward(
        self, views: list[Tensor], index: Tensor, rng: Generator, step: Step
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Computes the loss of this process's n images, and the figures that are logged beside it.

        views: the images, n x 3 x S x S each, normalised, in the order of `views`
        index: the images' numbers in the data set, int64 n
        rng: a CPU generator in the same state in every process, seeded anew for every step

        The loss is a scalar, or one number for each of several heads that share nothing; their sum is
        minimised. Each figure has the loss's shape, is a mean over the images and carries no gradient.
        """
        raise NotImplementedError

    def after_step(self) -> None:
        """Does what is due once the optimizer has made its step, such as the update of a queue."""
