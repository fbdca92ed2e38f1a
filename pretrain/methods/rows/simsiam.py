"""Implements SimSiam (arXiv 2011.10566): a predictor and a stop-gradient, and nothing else.

Official: facebookresearch/simsiam, `simsiam/builder.py` and `main_simsiam.py`, whose values stand here. The
paper has a warm-up of 10 epochs from batches of 1024 on; the code has none, and neither has this row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pretrain.methods.joint.layout import Layout, in_fc
from pretrain.methods.joint.row import Row
from pretrain.optimizers.rows import PUBLISHED, Optimizer

if TYPE_CHECKING:
    from torch import Tensor

    from pretrain.methods.base import Step
    from pretrain.methods.joint.outputs import Outputs


@dataclass(frozen=True)
class SimSiam(Row):
    title: ClassVar[str] = "simsiam"
    layout: ClassVar[Layout] = in_fc("encoder", predictor="state_dict/module.predictor.")
    published: ClassVar[dict[str, Any]] = {"batch_size": 512, "epochs": 100}
    zero_residual: ClassVar[bool] = True

    views: str = "2*v2"
    optimizer: Optimizer = PUBLISHED["simsiam"]
    projector: str = "w:bn-w:bn-2048f:bn0"
    predictor: str = "512:bn-2048b"
    target: str = "stop"

    def loss(self, online: Outputs, target: Outputs, memory: Any, step: Step) -> Tensor:
        return symmetric_cosine(online.predictions, target.projections)


def symmetric_cosine(p: list[Tensor], z: list[Tensor]) -> Tensor:
    """Minus the mean cosine of each view's prediction with the other's projection, nxC each (equation 2)."""
    from pretrain.methods.joint import losses

    return -(losses.cosine(p[0], z[1]) + losses.cosine(p[1], z[0])) * 0.5


ROW = SimSiam()
