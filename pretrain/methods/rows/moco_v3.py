"""Implements MoCo v3 (arXiv 2104.02057) for ResNets: no queue, the batch is the dictionary, both ways.

Official: facebookresearch/moco-v3, `moco/builder.py` and `main_moco.py`. The loss has the code's factor 2T.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pretrain.methods.joint.layout import Layout, in_fc
from pretrain.methods.joint.row import Row, option
from pretrain.optimizers.rows import PUBLISHED, Optimizer
from pretrain.options import real

if TYPE_CHECKING:
    from torch import Tensor

    from pretrain.methods.base import Step
    from pretrain.methods.joint.outputs import Outputs


@dataclass(frozen=True)
class MoCoV3(Row):
    title: ClassVar[str] = "moco_v3"
    layout: ClassVar[Layout] = in_fc(
        "base_encoder", "momentum_encoder", predictor="state_dict/module.predictor."
    )
    published: ClassVar[dict[str, Any]] = {"batch_size": 4096, "epochs": 1000}
    zero_residual: ClassVar[bool] = True
    ema_when: ClassVar[str] = "before"

    views: str = "moco_v3_1+moco_v3_2"
    optimizer: Optimizer = PUBLISHED["moco_v3"]
    projector: str = "4096:bn-256:bn0"
    predictor: str = "4096:bn-256"
    target: str = "ema"
    ema: float = 0.996
    temperature: float = option(1.0, "softmax temperature", real(0, above=True))

    def loss(self, online: Outputs, target: Outputs, memory: Any, step: Step) -> Tensor:
        (q1, q2), (k1, k2) = online.predictions, target.projections
        return contrast(q1, k2, self.temperature) + contrast(q2, k1, self.temperature)


def contrast(q: Tensor, k: Tensor, temperature: float) -> Tensor:
    """2T times the cross-entropy of queries nxC with the keys of all processes (algorithm 1)."""
    from pretrain.methods.joint.losses import info_nce, unit
    from pretrain.process import distributed

    return info_nce(unit(q), distributed.gather(unit(k)), temperature) * (2 * temperature)


ROW = MoCoV3()
