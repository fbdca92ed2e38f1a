"""Implements VICReg (arXiv 2105.04906): views agree, dimensions vary, and no two of them say the same.

Official: facebookresearch/vicreg, `main_vicreg.py`. Where paper and code differ this row does as the code:
the distance is a mean over dimensions too, and the two variance terms are halved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pretrain.methods.joint.layout import Layout
from pretrain.methods.joint.row import Row, option
from pretrain.optimizers.rows import PUBLISHED, Optimizer
from pretrain.options import real

if TYPE_CHECKING:
    from torch import Tensor

    from pretrain.methods.base import Step
    from pretrain.methods.joint.outputs import Outputs


@dataclass(frozen=True)
class VicReg(Row):
    title: ClassVar[str] = "vicreg"
    layout: ClassVar[Layout] = Layout(
        {"backbone": "model/module.backbone.", "projector": "model/module.projector."}, bare=True
    )
    published: ClassVar[dict[str, Any]] = {"batch_size": 2048, "epochs": 1000}
    zero_residual: ClassVar[bool] = True

    views: str = "byol_1+byol_2"
    optimizer: Optimizer = PUBLISHED["vicreg"]
    projector: str = "8192b:bn-8192b:bn-8192"
    invariance: float = option(25.0, "weight of the distance of the views", real(0))
    variance: float = option(25.0, "weight of the variance of each dimension", real(0))
    covariance: float = option(1.0, "weight of the covariances of dimensions", real(0))

    def loss(self, online: Outputs, target: Outputs, memory: Any, step: Step) -> Tensor:
        x, y = online.predictions
        return vicreg(x, y, (self.invariance, self.variance, self.covariance))


def vicreg(x: Tensor, y: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """Invariance, variance and covariance of two views nxC, weighted (equations 1 to 6).

    Variance and covariance are those of all processes, and their gradients flow back to each.
    """
    from torch.nn import functional as F

    from pretrain.methods.joint.losses import below_one, covariance
    from pretrain.process import distributed

    apart = F.mse_loss(x, y)
    x, y = distributed.gather_with_gradient(x), distributed.gather_with_gradient(y)
    x, y = x - x.mean(0), y - y.mean(0)
    low = (below_one(x) + below_one(y)) / 2
    alike = covariance(x) + covariance(y)
    return weights[0] * apart + weights[1] * low + weights[2] * alike


ROW = VicReg()
