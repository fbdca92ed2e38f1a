"""Implements Barlow Twins (arXiv 2103.03230): the cross-correlation of two views is to be the identity.

Official: facebookresearch/barlowtwins, `main.py`, with its lambda of .0051 (paper: .005). The code sums the
matrix over W processes without telling autograd, so the mean of their gradients is the whole batch's by W.
This row does so, too, unless --exact-gradient is given, which makes W processes equal to one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pretrain.methods.joint.layout import Layout
from pretrain.methods.joint.row import Row, option
from pretrain.optimizers.rows import PUBLISHED, Optimizer
from pretrain.options import real

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pretrain.methods.base import Step
    from pretrain.methods.joint.outputs import Outputs


@dataclass(frozen=True)
class Barlow(Row):
    title: ClassVar[str] = "barlow"
    layout: ClassVar[Layout] = Layout(
        {
            "backbone": "model/module.backbone.",
            "projector": "model/module.projector.",
            "memory": "model/module.bn.",
        },
        bare=True,
    )
    published: ClassVar[dict[str, Any]] = {"batch_size": 2048, "epochs": 1000}
    zero_residual: ClassVar[bool] = True

    views: str = "byol_1+byol_2"
    optimizer: Optimizer = PUBLISHED["barlow"]
    projector: str = "8192:bn-8192:bn-8192"
    off_diagonal: float = option(0.0051, "weight of the entries off the diagonal", real(0))
    exact_gradient: bool = option(False, "gradients of several processes are those of one")

    def memory(self, width: int, outputs: int) -> nn.Module:
        from torch import nn

        return nn.BatchNorm1d(width, affine=False)

    def loss(self, online: Outputs, target: Outputs, memory: Any, step: Step) -> Tensor:
        one, other = (memory(z) for z in online.predictions)
        return redundancy(one, other, self.off_diagonal, self.exact_gradient)


def redundancy(one: Tensor, other: Tensor, weight: float, exact: bool = False) -> Tensor:
    """Squared distance of the correlation of two normalised views nxC to the identity (equation 1)."""
    from pretrain.methods.joint.losses import from_identity, squares
    from pretrain.process import distributed

    if distributed.world_size() == 1:
        return from_identity((one * other).mean(0), squares(one, other) / len(one) ** 2, weight)
    c = one.T @ other / (len(one) * distributed.world_size())
    # The published sum is in place, and so the gradient of c is that of this process's part alone.
    c = (
        distributed.sum_with_gradient(c)
        if exact
        else c + (distributed.sum_in_place(c.detach().clone()) - c.detach())
    )
    return from_identity(c.diagonal(), c.square().sum(), weight)


ROW = Barlow()
