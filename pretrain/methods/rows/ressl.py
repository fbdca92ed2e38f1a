"""Implements ReSSL (arXiv 2107.09282): a strong view has the relations to the queue that a weak one has.

The loss is held against solo-learn's (vturrisi/solo-learn, `solo/losses/ressl.py`); the authors' code was not
at hand, and the values are those of the paper as far as they are known, which `docs/pretraining.md` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pretrain.methods.joint.layout import Layout, in_fc
from pretrain.methods.joint.row import Row, option, require_whole_queue
from pretrain.optimizers.rows import Optimizer
from pretrain.options import real, whole

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pretrain.methods.base import Step
    from pretrain.methods.joint.outputs import Outputs


@dataclass(frozen=True)
class ReSsl(Row):
    title: ClassVar[str] = "ressl"
    layout: ClassVar[Layout] = in_fc("encoder_q", "encoder_k", memory="ressl/")
    published: ClassVar[dict[str, Any]] = {"batch_size": 256, "epochs": 200}
    ema_when: ClassVar[str] = "before"
    online_views: ClassVar[tuple[int, ...]] = (0,)  # strong
    target_views: ClassVar[tuple[int, ...]] = (1,)  # weak

    views: str = "v2+weak"
    optimizer: Optimizer = Optimizer("sgd", lr=0.05, wd=1e-4, warmup_epochs=5)
    projector: str = "4096b-512b"
    target: str = "ema"
    ema: float = 0.999
    ema_end: float = 0.999
    queue: int = option(131072, "targets that relations are measured to", whole(1))
    temperature: float = option(0.1, "softmax temperature of the strong view", real(0, above=True))
    teacher_temperature: float = option(0.04, "softmax temperature of the weak view", real(0, above=True))

    def check(self, batch_size: int, per_epoch: int) -> None:
        super().check(batch_size, per_epoch)
        require_whole_queue(self.queue, batch_size)

    def memory(self, width: int, outputs: int) -> nn.Module:
        from pretrain.methods.joint.memory import Queue

        return Queue(width, self.queue)

    def loss(self, online: Outputs, target: Outputs, memory: Any, step: Step) -> Tensor:
        from pretrain.methods.joint.losses import unit

        q, k = unit(online.predictions[0]), unit(target.projections[0])
        memory.later(k)
        return relation(q, k, memory.queue, self.temperature, self.teacher_temperature)


def relation(q: Tensor, k: Tensor, queue: Tensor, temperature: float, teacher: float) -> Tensor:
    """Cross-entropy of the softmax of unit q nxC over a queue CxK against that of unit k (equation 5)."""
    from pretrain.methods.joint.losses import soft_cross_entropy

    return soft_cross_entropy((k.detach() @ queue / teacher).softmax(1), q @ queue, temperature)


ROW = ReSsl()
