"""Implements iBOT (arXiv 2111.07832): DINO's class tokens, and masked patches that find the teacher's.

Official: bytedance/ibot, `main_ibot.py`, `loader.py` and `models/`, with README's command for ViT-S/16: one
head for class token and patches, whose last layer has lengths that learn. Masks are blocks; the code's other
shape is not here, nor is Swin. With two heads the teacher has two as well (--shared_head_teacher false).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pretrain.errors import PretrainError
from pretrain.methods.joint.layout import Layout
from pretrain.methods.joint.masks import Shares, read_shares, shares
from pretrain.methods.joint.published import option
from pretrain.methods.joint.spec import asked
from pretrain.methods.rows.dino import PARTS, REST, DinoOfViT, warmed
from pretrain.optimizers.rows import PUBLISHED, Optimizer
from pretrain.options import real

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pretrain.methods.base import Step
    from pretrain.methods.joint.outputs import Outputs

OURS = {**PARTS, "patch_prototypes": "head.last_layer2."}


@dataclass(frozen=True)
class IBot(DinoOfViT):
    title: ClassVar[str] = "ibot"
    made_by: ClassVar[str] = "pretrain.methods.masked_frame:MaskedEmbedding"
    layout: ClassVar[Layout] = Layout(
        {
            **{part: f"student/module.{name}" for part, name in OURS.items()},
            **{f"target_{part}": f"teacher/{name}" for part, name in OURS.items()},
            "mask_token": "student/module.backbone.masked_embed",
            "memory": "ibot_loss/",
        }
    )
    published: ClassVar[dict[str, Any]] = {"arch": "vit_small_patch16", "batch_size": 1024, "epochs": 800}

    optimizer: Optimizer = replace(PUBLISHED["ibot"], freeze=REST)
    views: str = "ibot_1+ibot_2+10*ibot_local@3/7"
    prototypes: int = 8192
    teacher_temperature: float = 0.07
    warm_epochs: int = 30
    keep_apart: str = option(
        "centre", "how the teacher's outputs are kept from one point", ("centre", "none")
    )
    patch_temperature: float = option(0.07, "the teacher's temperature of patches", real(0, above=True))
    first_patch_temperature: float = option(0.04, "the same at the start of its warm-up", real(0, above=True))
    patch_weight: float = option(1.0, "weight of the patches' loss", real(0))
    masks: str = option("0+0.3~0.2", "shares of masked patches, of which each view draws one", read_shares)
    shared_head: bool = option(True, "patches have the last layer of class tokens")
    norm_last_layer: bool = option(False, "rows of the last layer keep their length of 1")

    @property
    def shares(self) -> Shares:
        """The text of `masks`, read."""
        return shares(self.masks)

    def check(self, batch_size: int, per_epoch: int) -> None:
        super().check(batch_size, per_epoch)
        if "bn" in self.projector:
            raise PretrainError(
                f"--projector {self.projector}: patches go through it and have no norm; leave out bn"
            )
        sizes = [one.share for one in asked(self.views) for _ in range(one.count)]
        if sizes[0] != sizes[1]:
            raise PretrainError(f"--views {self.views}: the first two have masks; give them one size")

    def memory(self, width: int, outputs: int) -> nn.Module:
        from pretrain.methods.joint.memory import PatchCentre

        return PatchCentre(outputs)

    def loss(self, online: Outputs, target: Outputs, memory: Any, step: Step) -> tuple[Tensor, Tensor]:
        import torch

        classes, p = super().loss(online, target, memory, step)
        t = torch.cat(target.patches)
        heat = warmed(self.first_patch_temperature, self.patch_temperature, self.warm_epochs, step.epoch)
        teacher = ((t - memory.center2) / heat).softmax(2)
        if self.keep_apart == "centre":
            memory.later_patches(t, self.centre_momentum)
        found = teacher.chunk(len(target.patches))
        patches = found_again(found, online.patches, online.hidden, self.temperature)
        return classes + self.patch_weight * patches, p


def found_again(
    teacher: Sequence[Tensor], scores: Sequence[Tensor], hidden: Sequence[Tensor], temperature: float
) -> Tensor:
    """Mean cross-entropy of masked patches and the teacher's of the same view; of each view nxLxK and nxL.

    The mean is over the patches of an image first; an image without masked ones counts as 0.
    """
    import torch

    terms = []
    for p, s, mask in zip(teacher, scores, hidden, strict=True):
        each = -(p * (s / temperature).log_softmax(2)).sum(2)
        terms.append(((each * mask).sum(1) / mask.sum(1).clamp(min=1)).mean())
    return torch.stack(terms).mean()


VIT = IBot()
