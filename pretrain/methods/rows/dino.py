"""Implements DINO (arXiv 2104.14294): a student finds what a slow teacher sees in other crops.

Official: facebookresearch/dino, `main_dino.py`. The values for ResNets are those of its command for ResNet-50
in README.md, those for vision transformers the defaults of its parser, with README's 512 images. The file
evaluated is the teacher.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pretrain.methods.joint.layout import Layout
from pretrain.methods.joint.published import option
from pretrain.methods.joint.row import Row
from pretrain.networks.vit_sizes import VitKind
from pretrain.optimizers.rows import PUBLISHED, Freeze, Optimizer
from pretrain.options import real, whole

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pretrain.methods.base import Step
    from pretrain.methods.joint.outputs import Outputs

# The official name of what rests is last_layer; here it is the layer of prototypes.
REST = (Freeze("prototypes", epochs=1),)
KEEPING = ("centre", "sinkhorn", "none")
PARTS = {"backbone": "backbone.", "projector": "head.mlp.", "prototypes": "head.last_layer."}


@dataclass(frozen=True)
class Dino(Row):
    title: ClassVar[str] = "dino"
    layout: ClassVar[Layout] = Layout(
        {
            **{part: f"student/module.{name}" for part, name in PARTS.items()},
            **{f"target_{part}": f"teacher/module.{name}" for part, name in PARTS.items()},
            "memory": "dino_loss/",
        }
    )
    published: ClassVar[dict[str, Any]] = {"batch_size": 512, "epochs": 100}
    evaluated: ClassVar[str] = "target_backbone"
    multi_crop: ClassVar[bool] = True
    one_pass: ClassVar[bool] = True
    unit_prototypes: ClassVar[str] = "norm"

    views: str = "dino_resnet_1+dino_resnet_2+8*dino_resnet_local@3/7"
    optimizer: Optimizer = replace(PUBLISHED["dino_resnet"], freeze=REST)
    projector: str = "2048b:gelu-2048b:gelu-256b"
    target: str = "ema"
    ema: float = 0.996
    prototypes: int = 65536
    temperature: float = option(0.1, "softmax temperature of the student", real(0, above=True))
    teacher_temperature: float = option(0.04, "that of the teacher: low sharpens", real(0, above=True))
    first_temperature: float = option(0.04, "the teacher's at the start of its warm-up", real(0, above=True))
    warm_epochs: int = option(0, "epochs of warm-up of the teacher's temperature", whole(0))
    keep_apart: str = option("centre", "how the teacher's outputs are kept from one point", KEEPING)
    centre_momentum: float = option(0.9, "momentum of the centre", real(0, 1))

    def initialise(self, head: nn.Module) -> None:
        from torch import nn

        from converters.models.hierarchy import start

        start(head, nn.Linear)

    def memory(self, width: int, outputs: int) -> nn.Module:
        from pretrain.methods.joint.memory import Centre

        return Centre(outputs)

    def sharpness(self, epoch: int) -> float:
        """The teacher's temperature in an epoch."""
        return warmed(self.first_temperature, self.teacher_temperature, self.warm_epochs, epoch)

    def loss(self, online: Outputs, target: Outputs, memory: Any, step: Step) -> tuple[Tensor, Tensor]:
        import torch

        from pretrain.methods.joint.losses import sinkhorn

        t, heat = torch.cat(target.predictions), self.sharpness(step.epoch)
        if self.keep_apart == "sinkhorn":
            p = sinkhorn(t, heat, 3)
        else:
            p = ((t - memory.center) / heat).softmax(1)
            if self.keep_apart == "centre":
                memory.later(t, self.centre_momentum)
        loss = distilled(list(p.chunk(len(target.predictions))), online.predictions, self.temperature)
        return loss, p


def warmed(first: float, last: float, length: int, epoch: int) -> float:
    """A value in an epoch: a straight line of `length` points from `first` to `last`, then constant."""
    return last if epoch >= length else first + (last - first) / max(1, length - 1) * epoch


def distilled(teacher: list[Tensor], scores: list[Tensor], temperature: float) -> Tensor:
    """Mean cross-entropy of the student's scores of each crop nxK and the teacher's of every other one."""
    import torch

    logs = [(s / temperature).log_softmax(1) for s in scores]
    terms = [-(p * log).sum(1).mean() for i, p in enumerate(teacher) for v, log in enumerate(logs) if v != i]
    return torch.stack(terms).mean()


@dataclass(frozen=True)
class DinoOfViT(Dino):
    """The same of vision transformers; a teacher without BatchNorm has no `module.` in its names."""

    layout: ClassVar[Layout] = Layout(
        {**Dino.layout.places, **{f"target_{part}": f"teacher/{name}" for part, name in PARTS.items()}}
    )
    vit: ClassVar[VitKind | None] = VitKind(interpolation="offset")

    views: str = "dino_1+dino_2+8*dino_local@3/7"
    optimizer: Optimizer = replace(PUBLISHED["dino"], freeze=REST)
    drop_path: float = option(0.1, "chance that an image skips the student's last block", real(0, 1))

    def encoder_options(self, slow: bool) -> dict[str, Any]:
        return {**super().encoder_options(slow), "drop_path": 0.0 if slow else self.drop_path}


ROW, VIT = Dino(), DinoOfViT()
