"""Implements NNCLR (arXiv 2104.14548): the positive of a view is the nearest neighbour of the other one.

There is no official code. Maths and the order of things are those of the paper's algorithm 1, held against
solo-learn's loss (vturrisi/solo-learn, `solo/losses/nnclr.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.methods.base import Step
from pretrain.methods.joint import losses
from pretrain.methods.joint.layout import Layout, in_fc
from pretrain.methods.joint.memory import Queue, require_whole_queue
from pretrain.methods.joint.outputs import Outputs
from pretrain.methods.joint.published import option
from pretrain.methods.joint.row import Row
from pretrain.optimizers.rows import Optimizer
from pretrain.options import real, whole
from pretrain.process import distributed


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
        return Queue(width, self.queue)

    def loss(self, online: Outputs, target: Outputs, memory: Any, step: Step) -> Tensor:
        z = [F.normalize(x, dim=1) for x in target.projections]
        near = [neighbours(x, memory.queue) for x in z]
        memory.later(z[0])
        p = online.predictions
        one, other = (neighbour_nce(a, b, self.temperature) for a, b in ((near[0], p[1]), (near[1], p[0])))
        return one / 2 + other / 2


@torch.no_grad()
def neighbours(z: Tensor, queue: Tensor) -> Tensor:
    """The nearest columns of a queue CxK to unit rows nxC, as nxC."""
    return queue.T[(z @ queue).argmax(1)]


def neighbour_nce(near: Tensor, p: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of neighbours nxC with the predictions of all processes (equation 2)."""
    predictions = distributed.gather_with_gradient(F.normalize(p, dim=1))
    return losses.info_nce(F.normalize(near, dim=1), predictions, temperature)


ROW = NnClr()
