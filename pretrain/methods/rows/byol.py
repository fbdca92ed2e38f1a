"""Implements BYOL (arXiv 2006.07733): a prediction of what a slow copy makes of the other view.

Official: google-deepmind/deepmind-research, `byol/`, in JAX. Where paper and code differ, this row does as
the code: last layers have no bias, and the slow copy begins with random weights of its own. The code lets the
last scale of each residual block begin at 0, its README says that the published numbers had 1; so has this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pretrain.methods.joint.layout import Layout
from pretrain.methods.joint.row import Row
from pretrain.optimizers.rows import PUBLISHED, Optimizer

if TYPE_CHECKING:
    from torch import Tensor

    from pretrain.methods.base import Step
    from pretrain.methods.joint.outputs import Outputs


@dataclass(frozen=True)
class Byol(Row):
    title: ClassVar[str] = "byol"
    layout: ClassVar[Layout] = Layout(
        {
            "backbone": "state_dict/module.online_encoder.",
            "projector": "state_dict/module.online_projector.",
            "predictor": "state_dict/module.predictor.",
            "target_backbone": "state_dict/module.target_encoder.",
            "target_projector": "state_dict/module.target_projector.",
        }
    )
    published: ClassVar[dict[str, Any]] = {"batch_size": 4096, "epochs": 1000}
    fresh_target: ClassVar[bool] = True

    views: str = "byol_1+byol_2"
    optimizer: Optimizer = PUBLISHED["byol"]
    projector: str = "4096b:bn-256"
    predictor: str = "4096b:bn-256"
    target: str = "ema"
    ema: float = 0.996

    def loss(self, online: Outputs, target: Outputs, memory: Any, step: Step) -> Tensor:
        return prediction_error(online.predictions, target.projections)


def prediction_error(p: list[Tensor], t: list[Tensor]) -> Tensor:
    """Squared distances of unit predictions and targets nxC of the other view (equation 2), both ways."""
    from pretrain.methods.joint.losses import unit

    one = (unit(p[0]) - unit(t[1])).square().sum(1)
    other = (unit(p[1]) - unit(t[0])).square().sum(1)
    return (one + other).mean()


ROW = Byol()
