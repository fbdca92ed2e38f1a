"""Implements SimCLR (arXiv 2002.05709): each view finds the other one among all views of the batch.

Official: google-research/simclr, `tf2/objective.py` and `tf2/model.py`. The code sums the losses of the two
views where the paper's equation 1 takes the mean over all: the loss, and with it the step of an optimizer
that does not adapt, is twice the paper's. This row does as the code, whose residual blocks begin with a last
scale of 0. The head is v1's two layers, as in the paper; the code's default has three.
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
class SimClr(Row):
    title: ClassVar[str] = "simclr"
    layout: ClassVar[Layout] = Layout(
        {"backbone": "state_dict/module.encoder.", "projector": "state_dict/module.projector."}, ("simclr",)
    )
    published: ClassVar[dict[str, Any]] = {"batch_size": 4096, "epochs": 1000}
    zero_residual: ClassVar[bool] = True
    one_pass: ClassVar[bool] = True

    views: str = "2*simclr"
    optimizer: Optimizer = PUBLISHED["simclr"]
    projector: str = "w:bn-128:bns"
    temperature: float = option(0.1, "softmax temperature", real(0, above=True))

    def initialise(self, head: nn.Module) -> None:
        from torch import nn

        for part in head.modules():
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=0.01)

    def loss(self, online: Outputs, target: Outputs, memory: Any, step: Step) -> Tensor:
        one, other = online.predictions
        return nt_xent(one, other, self.temperature)


def nt_xent(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of each view nxC with its other view among the 2N - 1 other views, both ways.

    Views of all processes are candidates, and their gradients flow back to where they come from.
    """
    import torch
    from torch.nn import functional as F

    from pretrain.process import distributed

    z1, z2 = F.normalize(one, dim=1), F.normalize(other, dim=1)
    all1, all2 = distributed.gather_with_gradient(z1), distributed.gather_with_gradient(z2)
    own = distributed.my_slice(len(all1))
    labels = torch.arange(own.start, own.stop, device=z1.device)
    itself = F.one_hot(labels, len(all1)) * 1e9
    aa, bb = z1 @ all1.T / temperature - itself, z2 @ all2.T / temperature - itself
    ab, ba = z1 @ all2.T / temperature, z2 @ all1.T / temperature
    return F.cross_entropy(torch.cat([ab, aa], 1), labels) + F.cross_entropy(torch.cat([ba, bb], 1), labels)


ROW = SimClr()
