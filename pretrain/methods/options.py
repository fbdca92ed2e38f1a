"""Defines the options of the methods. It imports no torch, for the command line reads them before that."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from pretrain.options import positive, real


@dataclass(frozen=True)
class MethodOptions:
    """The options of a method or of several alike: one field each, named as on the command line.

    Names are the method's own (`moco_k`, not `k`), for all methods share one command line.
    """

    title: ClassVar[str]  # of the group in --help
    own_optimizer: ClassVar[bool] = False  # else it is the run's: SGD, by --lr, --schedule and their like

    @staticmethod
    def add_to(group: argparse._ArgumentGroup) -> None:
        """Adds one argument for each field."""
        raise NotImplementedError

    def identity(self) -> dict[str, Any]:
        """The values, in JSON types, without which a checkpoint is not continued."""
        return asdict(self)


@dataclass(frozen=True)
class ContrastOptions(MethodOptions):
    """The options of the paper's three mechanisms, with names and defaults of the published code."""

    title: ClassVar[str] = "queue, memory_bank, end_to_end (names and defaults of the published code)"

    moco_dim: int
    moco_k: int
    moco_m: float
    moco_t: float
    bank_m: float
    mlp: bool
    aug_plus: bool
    no_shuffle_bn: bool

    @staticmethod
    def add_to(group: argparse._ArgumentGroup) -> None:
        add = group.add_argument
        add("--moco-dim", type=positive, default=128, metavar="C", help="feature dimension")
        add("--moco-k", type=positive, default=65536, metavar="K", help="queue size: number of negatives")
        add("--moco-m", type=real(0, 1), default=0.999, metavar="M", help="momentum of the key encoder")
        temperature = real(0, above=True)
        add("--moco-t", type=temperature, default=0.07, metavar="T", help="softmax temperature (v2: 0.2)")
        add("--bank-m", type=real(0, 1), default=0.5, metavar="M", help="momentum of memory bank entries")
        add("--mlp", action="store_true", help="MLP head (v2)")
        add("--aug-plus", action="store_true", help="augmentation with blur (v2)")
        add("--no-shuffle-bn", action="store_true", help="ablation: keys see the batch of their queries")

    @property
    def recipe(self) -> str:
        return "v2" if self.aug_plus else "v1"

    @property
    def shuffle_bn(self) -> bool:
        return not self.no_shuffle_bn

    def identity(self) -> dict[str, Any]:
        """The values as files hold them: no recipe, which the views tell, and `shuffle_bn` without "no"."""
        values = asdict(self)
        del values["aug_plus"], values["no_shuffle_bn"]
        return {**values, "shuffle_bn": self.shuffle_bn}


@dataclass(frozen=True)
class SupervisedOptions(MethodOptions):
    """Holds nothing: the images say how many classes there are."""

    title: ClassVar[str] = "supervised"

    @staticmethod
    def add_to(group: argparse._ArgumentGroup) -> None:
        """Adds no argument."""
