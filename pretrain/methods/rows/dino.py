"""Implements DINO (arXiv 2104.14294) for ResNets: a student finds what a slow teacher sees in other crops.

Official: facebookresearch/dino, `main_dino.py`, with its command for ResNet-50 in README.md; the defaults of
its parser are those of vision transformers. The file evaluated is the teacher.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pretrain.methods.joint.layout import Layout
from pretrain.methods.joint.row import Row, option
from pretrain.optimizers.rows import PUBLISHED, Freeze, Optimizer
from pretrain.options import real, whole

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pretrain.methods.base import Step
    from pretrain.methods.joint.outputs import Outputs

# The official name of what rests is last_layer; here it is the layer of prototypes.
OPTIMIZER = replace(PUBLISHED["dino_resnet"], freeze=(Freeze("prototypes", epochs=1),))
KEEPING = ("centre", "sinkhorn", "none")


@dataclass(frozen=True)
class Dino(Row):
    title: ClassVar[str] = "dino"
    layout: ClassVar[Layout] = Layout(
        {
            "backbone": "student/module.backbone.",
            "projector": "student/module.head.mlp.",
            "prototypes": "student/module.head.last_layer.",
            "target_backbone": "teacher/module.backbone.",
            "target_projector": "teacher/module.head.mlp.",
            "target_prototypes": "teacher/module.head.last_layer.",
            "memory": "dino_loss/",
        }
    )
    published: ClassVar[dict[str, Any]] = {"batch_size": 512, "epochs": 100}
    evaluated: ClassVar[str] = "target_backbone"
    multi_crop: ClassVar[bool] = True
    one_pass: ClassVar[bool] = True
    unit_prototypes: ClassVar[str] = "norm"

    views: str = "dino_resnet_1+dino_resnet_2+8*dino_resnet_local@3/7"
    optimizer: Optimizer = OPTIMIZER
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
        """The teacher's temperature in an epoch: a straight line of `warm_epochs` points, then constant."""
        if epoch >= self.warm_epochs:
            return self.teacher_temperature
        rise = (self.teacher_temperature - self.first_temperature) / max(1, self.warm_epochs - 1)
        return self.first_temperature + rise * epoch

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


def distilled(teacher: list[Tensor], scores: list[Tensor], temperature: float) -> Tensor:
    """Mean cross-entropy of the student's scores of each crop nxK and the teacher's of every other one."""
    import torch

    logs = [(s / temperature).log_softmax(1) for s in scores]
    terms = [-(p * log).sum(1).mean() for i, p in enumerate(teacher) for v, log in enumerate(logs) if v != i]
    return torch.stack(terms).mean()


ROW = Dino()
