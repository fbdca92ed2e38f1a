"""Implements NNCLR (arXiv 2104.14548): the positive of a view is the nearest neighbour of the other one.

There is no official code. Maths and the order of things are those of the paper's algorithm 1, held against
solo-learn's loss (vturrisi/solo-learn, `solo/losses/nnclr.py`).
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
class NnClr(Row):
    title: ClassVar[str] = "nnclr"
    layout: ClassVar[Layout] = in_fc("encoder_q", predictor="state_dict/module.predictor.", memory="nnclr/")
    published: ClassVar[dict[str, Any]] = {"batch_size": 4096, "epochs": 1000}

    views: str = "byol_1+byol_2"
    optimizer: Optimizer = Optimizer("lars", lr=0.3, wd=1e-6, exclude="1d", warmup_epochs=10)
    projector: str = "2048b:bn-2048b:bn-256b:bn"
    predictor: str = "4096b:bn-256b"
    target: str = "stop"
    queue: int = option(98304, "embeddings among which neighbours are looked for", whole(1))
    temperature: float = option(0.1, "softmax temperature", real(0, above=True))

    def check(self, batch_size: int, per_epoch: int) -> None:
        super().check(batch_size, per_epoch)
        require_whole_queue(self.queue, batch_size)

    def memory(self, width: int, outputs: int) -> nn.Module:
        from pretrain.methods.joint.memory import Queue

        return Queue(width, self.queue)

    def loss(self, online: Outputs, target: Outputs, memory: Any, step: Step) -> Tensor:
        from pretrain.methods.joint.losses import neighbours, unit

        z = [unit(x) for x in target.projections]
        near = [neighbours(x, memory.queue) for x in z]
        memory.later(z[0])
        p = online.predictions
        one, other = (neighbour_nce(a, b, self.temperature) for a, b in ((near[0], p[1]), (near[1], p[0])))
        return one / 2 + other / 2


def neighbour_nce(near: Tensor, p: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of neighbours nxC with the predictions of all processes (equation 2)."""
    from pretrain.methods.joint.losses import info_nce, unit
    from pretrain.process import distributed

    return info_nce(unit(near), distributed.gather_with_gradient(unit(p)), temperature)


ROW = NnClr()
