"""Makes a step of lightly's: its losses, memory banks, momentum updates and LARS, as its examples put them.

The modules are those of our method, for equal weights. Views of one size share a pass where the published
codes do so, which lightly's examples do not: that is the faster way, and the loss is then the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.methods.joint.row import Row
from pretrain.networks.encoders import feature_maps

Loss = Callable[[list[Tensor]], Tensor]


def lightly_step(method: Any, row: Row, views: list[Tensor]) -> Callable[[], float]:
    """A function that makes the next step and returns its loss."""
    from lightly.models.utils import update_momentum
    from lightly.utils.lars import LARS

    learning = [p for name, p in method.named_parameters() if p.requires_grad and "target_" not in name]
    loss_of, clip = STEPS[row.name](method, row), row.optimizer.clip
    lr, wd = 1e-3, row.optimizer.wd
    if row.optimizer.kind == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(learning, lr, momentum=0.9, weight_decay=wd)
    else:
        optimizer = LARS(learning, lr, momentum=0.9, weight_decay=wd)
    slow = [name for name, _ in method.named_children() if name.startswith("target_")]

    def move() -> None:
        for name in slow:
            fast = method.get_submodule(name.removeprefix("target_"))
            update_momentum(fast, method.get_submodule(name), m=row.ema_at(2000, 20000))

    def step() -> float:
        if row.ema_when == "before":
            move()
        loss = loss_of(views)
        optimizer.zero_grad()
        loss.backward()
        for parameter in learning if clip is not None else ():
            nn.utils.clip_grad_norm_([parameter], clip or 0.0)
        optimizer.step()
        if row.ema_when == "after":
            move()
        return loss.item()

    return step


def _simclr(method: Any, row: Any) -> Loss:
    from lightly.loss import NTXentLoss

    criterion = NTXentLoss(temperature=row.temperature)
    return lambda views: 2 * criterion(*method.projector(method.backbone(torch.cat(views))).chunk(2))


def _simsiam(method: Any, row: Any) -> Loss:
    from lightly.loss import NegativeCosineSimilarity

    criterion = NegativeCosineSimilarity()

    def loss(views: list[Tensor]) -> Tensor:
        z = [method.projector(method.backbone(view)) for view in views]
        p = [method.predictor(x) for x in z]
        return 0.5 * (criterion(p[0], z[1].detach()) + criterion(p[1], z[0].detach()))

    return loss


def _byol(method: Any, row: Any) -> Loss:
    from lightly.loss import NegativeCosineSimilarity

    criterion = NegativeCosineSimilarity()

    def loss(views: list[Tensor]) -> Tensor:
        p = [method.predictor(method.projector(method.backbone(view))) for view in views]
        with torch.no_grad():
            t = [method.target_projector(method.target_backbone(view)) for view in views]
        return 4 + 2 * (criterion(p[0], t[1]) + criterion(p[1], t[0]))  # the distances of unit vectors

    return loss


def _barlow(method: Any, row: Any) -> Loss:
    from lightly.loss import BarlowTwinsLoss

    criterion = BarlowTwinsLoss(lambda_param=row.off_diagonal)
    return lambda views: criterion(*[method.projector(method.backbone(view)) for view in views])


def _vicreg(method: Any, row: Any) -> Loss:
    from lightly.loss import VICRegLoss

    criterion = VICRegLoss(row.invariance, row.variance, row.covariance)
    return lambda views: criterion(*[method.projector(method.backbone(view)) for view in views])


def _by_size(backbone: nn.Module, views: list[Tensor]) -> Tensor:
    sizes = sorted({view.shape[-1] for view in views}, reverse=True)
    same = [torch.cat([view for view in views if view.shape[-1] == size]) for size in sizes]
    return torch.cat([backbone(batch) for batch in same])


def _swav(method: Any, row: Any) -> Loss:
    from lightly.loss import SwaVLoss

    criterion = SwaVLoss(row.temperature, row.sinkhorn, row.epsilon)

    def loss(views: list[Tensor]) -> Tensor:
        with torch.no_grad():
            method.prototypes.weight.copy_(F.normalize(method.prototypes.weight, dim=1))
        z = F.normalize(method.projector(_by_size(method.backbone, views)), dim=1)
        scores = list(method.prototypes(z).chunk(len(views)))
        return criterion(scores[:2], scores[2:])

    return loss


def _dino(method: Any, row: Any) -> Loss:
    from lightly.loss import DINOLoss

    criterion = DINOLoss(row.prototypes, student_temp=row.temperature).to(next(method.parameters()).device)

    def scores(views: list[Tensor], slow: str = "") -> list[Tensor]:
        backbone, projector, last = (
            method.get_submodule(slow + part) for part in ("backbone", "projector", "prototypes")
        )
        return list(last(F.normalize(projector(_by_size(backbone, views)), dim=1)).chunk(len(views)))

    def loss(views: list[Tensor]) -> Tensor:
        with torch.no_grad():
            teacher = scores(views[:2], "target_")
        return criterion(teacher, scores(views), teacher_temp=row.teacher_temperature)

    return loss


def _densecl(method: Any, row: Any) -> Loss:
    from lightly.loss import NTXentLoss
    from lightly.models.utils import select_most_similar

    def bank(queue: Tensor) -> Any:
        made = NTXentLoss(row.temperature, memory_bank_size=(queue.shape[1], len(queue))).to(queue.device)
        made.memory_bank.bank.copy_(queue.T)
        return made

    whole, dense = bank(method.memory.queue), bank(method.memory.queue2)

    def branch(view: Tensor, slow: str = "") -> tuple[Tensor, Tensor, Tensor]:
        backbone, projector, places = (
            method.get_submodule(slow + part) for part in ("backbone", "projector", "dense")
        )
        maps = feature_maps(backbone, view)
        grids = (x.flatten(2).transpose(1, 2) for x in (maps, places(maps)))
        return projector(backbone.avgpool(maps).flatten(1)), *grids

    def loss(views: list[Tensor]) -> Tensor:
        z, maps, places = branch(views[0])
        with torch.no_grad():
            key, others, values = branch(views[1], "target_")
        near = select_most_similar(maps, others, values)
        share = row.dense_share
        one = whole(z, key)
        return (1 - share) * one + share * dense(places.flatten(0, 1), near.flatten(0, 1))

    return loss


# NNCLR's loss has other candidates there; of ReSSL and MoCo v3 there is none.
STEPS: dict[str, Callable[[Any, Any], Loss]] = {
    "simclr": _simclr, "byol": _byol, "simsiam": _simsiam, "barlow": _barlow, "vicreg": _vicreg,
    "swav": _swav, "dino": _dino, "densecl": _densecl,
}  # fmt: skip
