"""Implements MoCo v3 (arXiv 2104.02057): no queue, the batch is the dictionary, both ways.

Official: facebookresearch/moco-v3, `moco/builder.py`, `vits.py` and `main_moco.py`, with the commands of
CONFIG.md for ResNet-50 and ViT-B. The loss has the code's factor 2T. Vision transformers of every size have
12 heads, as in the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pretrain.methods.joint.layout import Layout, in_fc
from pretrain.methods.joint.published import option
from pretrain.methods.joint.row import Row
from pretrain.networks.vit_sizes import VitKind
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


@dataclass(frozen=True)
class MoCoV3OfViT(MoCoV3):
    """The same of vision transformers: the patch projection rests as it was drawn (section 4.2)."""

    layout: ClassVar[Layout] = in_fc(
        "base_encoder", "momentum_encoder", "head", predictor="state_dict/module.predictor."
    )
    published: ClassVar[dict[str, Any]] = {"batch_size": 4096, "epochs": 300}
    vit: ClassVar[VitKind | None] = VitKind("moco_v3", heads=12)

    views: str = "moco_v3_vit_1+moco_v3_vit_2"
    optimizer: Optimizer = PUBLISHED["moco_v3_vit"]
    projector: str = "4096:bn-4096:bn-256:bn0"
    predictor: str = "4096:bn-256:bn0"
    ema: float = 0.99
    temperature: float = 0.2


ROW, VIT = MoCoV3(), MoCoV3OfViT()
