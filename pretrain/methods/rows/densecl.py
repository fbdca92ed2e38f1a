"""Implements DenseCL (arXiv 2011.09157): MoCo v2, and the same contrast for every place of the map.

Official: WXinlong/DenseCL, `openselfsup/models/densecl.py` and `configs/selfsup/densecl`. Keys are shuffled,
as MoCo's are. The encoder begins with torchvision's weights, whose variance goes by the outputs of a layer;
in the official code it goes by the inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pretrain.errors import PretrainError
from pretrain.methods.joint.layout import Layout
from pretrain.methods.joint.row import Row, option, require_whole_queue
from pretrain.methods.joint.spec import read_spec, width_of
from pretrain.optimizers.rows import Optimizer
from pretrain.options import positive, real, whole

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pretrain.methods.base import Step
    from pretrain.methods.joint.outputs import Outputs

GROUPS = "BatchNorm groups of the whole batch; default: one a process, or batch/32 and at least 2 in one"


@dataclass(frozen=True)
class DenseCl(Row):
    title: ClassVar[str] = "densecl"
    layout: ClassVar[Layout] = Layout(
        {
            "backbone": "state_dict/encoder_q.0.",
            "projector": "state_dict/encoder_q.1.mlp.",
            "dense": "state_dict/encoder_q.1.mlp2.",
            "target_backbone": "state_dict/encoder_k.0.",
            "target_projector": "state_dict/encoder_k.1.mlp.",
            "target_dense": "state_dict/encoder_k.1.mlp2.",
            "memory": "state_dict/",
        },
        again={"backbone": "state_dict/backbone."},
    )
    published: ClassVar[dict[str, Any]] = {"batch_size": 256, "epochs": 200}
    ema_when: ClassVar[str] = "before"
    online_views: ClassVar[tuple[int, ...]] = (0,)
    target_views: ClassVar[tuple[int, ...]] = (1,)

    optimizer: Optimizer = Optimizer("sgd", lr=0.03, wd=1e-4, by_epoch=True)
    projector: str = "wb-128b"
    target: str = "ema"
    ema: float = 0.999
    ema_end: float = 0.999
    sync_bn: bool = False
    dense_projector: str = option("wb-128b", "layers of the projector of every place", read_spec)
    queue: int = option(65536, "keys of images, and as many of maps, that are negatives", whole(1))
    temperature: float = option(0.2, "softmax temperature", real(0, above=True))
    dense_share: float = option(0.5, "share of the dense loss (lambda)", real(0, 1))
    bn_groups: int | None = option(None, GROUPS, positive)
    shuffle_bn: bool = option(True, "keys are normalised beside other images than their queries")

    @property
    def dense_head(self) -> str:
        return self.dense_projector

    @property
    def shuffles(self) -> bool:
        return self.shuffle_bn

    def check(self, batch_size: int, per_epoch: int) -> None:
        super().check(batch_size, per_epoch)
        for flag, text in (
            ("--projector", self.projector),
            ("--dense-projector", self.dense_projector),
        ):
            if not width_of(text, 0):
                raise PretrainError(f"{flag} {text}: expected a number at its end, the width of the queue")
        require_whole_queue(self.queue, batch_size)

    def initialise(self, head: nn.Module) -> None:
        from torch import nn

        for part in head.modules():
            if isinstance(part, nn.Linear):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    def memory(self, width: int, outputs: int) -> nn.Module:
        from pretrain.methods.joint.memory import Queues

        return Queues({"queue": width, "queue2": width_of(self.dense_projector, 0)}, self.queue)

    def loss(self, online: Outputs, target: Outputs, memory: Any, step: Step) -> Tensor:
        from pretrain.methods.joint.losses import matched, queue_nce, unit

        q, k = unit(online.projections[0]), unit(target.projections[0])
        places, keys = unit(online.dense[0]), unit(target.dense[0])
        memory.later({"queue": k, "queue2": unit(target.dense[0].mean(2))})
        near = matched(online.maps[0], target.maps[0], keys)
        rows, nearest = (some.transpose(1, 2).flatten(0, 1) for some in (places, near))
        whole = queue_nce(q, k, memory.queue, self.temperature)
        dense = queue_nce(rows, nearest, memory.queue2, self.temperature)
        return (1 - self.dense_share) * whole + self.dense_share * dense


ROW = DenseCl()
