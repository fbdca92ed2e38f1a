"""Makes lightly's training steps: its heads, losses and helpers, put together as its benchmarks do.

A checkout of lightly-ai/lightly is imported, and nothing of it is here. Where its examples differ from its
benchmarks, what is taken is the one whose loss is ours; `NOTES` says where neither is. Its online classifier,
its logging and Lightning are left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.perf.rows_lightly_kit import Kit
from benchmarks.perf.rows_lightly_maps import MAPS
from benchmarks.perf.rows_ours import QUEUE, Setting, Training

IMPORTS = ("lightly.loss", "lightly.models.modules", "lightly.models.utils", "lightly.utils.lars", "timm")
# How a loss of lightly's becomes ours: times the first, plus the second. Gradients have the first alone.
TO_OURS = {"simclr": (2.0, 0.0), "byol": (1.0, 4.0)}
NOTES = {
    "nnclr": "another loss: lightly's has the negatives of both sides",
    "swav": "timed with a pass a crop, as lightly makes it; the losses are those of a pass a size",
    "densecl": "timed as its example: keys go through the network that learns, which costs the same",
}


def training(setting: Setting) -> Training:
    """lightly's step of a row, with the weights that ours begins with."""
    kit = Kit(setting)
    made = ROWS[setting.row](kit)
    del kit.method  # its memory is not lightly's
    return made


def _simclr(kit: Kit) -> Training:
    encoder, width = kit.encoder(), kit.width()
    head = kit.head("SimCLRProjectionHead", "projector", width, width, 128)
    criterion = kit.loss.NTXentLoss(temperature=0.1)

    def forward() -> Tensor:
        z0, z1 = head(encoder(torch.cat(kit.views)).flatten(start_dim=1)).chunk(2)
        return criterion(z0, z1)

    groups = kit.groups(encoder, head)
    return kit.training(forward, kit.lars(groups, lr=kit.rate(0.3), momentum=0.9, weight_decay=1e-6), encoder)


def _moco_v2(kit: Kit) -> Training:
    width = kit.width("encoder_q")
    encoder, slow = kit.encoder("encoder_q"), kit.resting(kit.encoder("encoder_k"))
    head = kit.head("MoCoProjectionHead", "encoder_q.fc", width, width, 128)
    slow_head = kit.resting(copy.deepcopy(head))
    criterion = kit.with_queue("queue")

    @torch.no_grad()
    def keys(x: Tensor) -> Tensor:
        x, order = kit.utils.batch_shuffle(batch=x)
        return kit.utils.batch_unshuffle(batch=slow_head(slow(x).flatten(start_dim=1)), shuffle=order)

    def forward() -> Tensor:
        query = head(encoder(kit.views[0]).flatten(start_dim=1))
        return criterion(query, keys(kit.views[1]))

    sgd = torch.optim.SGD(kit.groups(encoder, head), lr=kit.rate(0.03), momentum=0.9, weight_decay=1e-4)
    return kit.training(forward, sgd, encoder, (encoder, slow), (head, slow_head))


def _byol(kit: Kit) -> Training:
    encoder, slow, width = kit.encoder(), kit.resting(kit.encoder("target_backbone")), kit.width()
    head = kit.head("BYOLProjectionHead", "projector", width, 4096, 256)
    slow_head = kit.resting(kit.head("BYOLProjectionHead", "target_projector", width, 4096, 256))
    predictor = kit.head("BYOLPredictionHead", "predictor", 256, 4096, 256)
    criterion = kit.loss.NegativeCosineSimilarity()

    @torch.no_grad()
    def teacher(x: Tensor) -> Tensor:
        return slow_head(slow(x).flatten(start_dim=1))

    def student(x: Tensor) -> Tensor:
        return predictor(head(encoder(x).flatten(start_dim=1)))

    def forward() -> Tensor:
        x0, x1 = kit.views
        t0, t1, p0, p1 = teacher(x0), teacher(x1), student(x0), student(x1)
        return 2 * criterion(t0, p1) + 2 * criterion(t1, p0)

    groups = kit.groups(encoder, head, predictor)
    optimizer = kit.lars(groups, lr=kit.rate(0.45), momentum=0.9, weight_decay=1e-6)
    return kit.training(forward, optimizer, encoder, (encoder, slow), (head, slow_head))


def _simsiam(kit: Kit) -> Training:
    encoder, width = kit.encoder(), kit.width()
    head = kit.head("SimSiamProjectionHead", "projector", width, 2048, 2048)
    predictor = kit.head("SimSiamPredictionHead", "predictor", 2048, 512, 2048)
    criterion = kit.loss.NegativeCosineSimilarity()

    def forward() -> Tensor:
        z0, z1 = (head(encoder(x).flatten(start_dim=1)) for x in kit.views)
        p0, p1 = predictor(z0), predictor(z1)
        return 0.5 * (criterion(z0.detach(), p1) + criterion(z1.detach(), p0))

    parameters = [*encoder.parameters(), *head.parameters(), *predictor.parameters()]
    sgd = torch.optim.SGD(parameters, lr=kit.rate(0.05), momentum=0.9, weight_decay=1e-4)
    return kit.training(forward, sgd, encoder)


def _barlow(kit: Kit) -> Training:
    return _of_pairs(kit, "BarlowTwinsProjectionHead", kit.loss.BarlowTwinsLoss(), lr=kit.rate(0.0048))


def _vicreg(kit: Kit) -> Training:
    return _of_pairs(kit, "VICRegProjectionHead", kit.loss.VICRegLoss())


def _of_pairs(kit: Kit, kind: str, criterion: Any, **of_others: float) -> Training:
    encoder = kit.encoder()
    head = kit.head(kind, "projector", kit.width(), 8192, 8192)

    def forward() -> Tensor:
        z0, z1 = (head(encoder(x).flatten(start_dim=1)) for x in kit.views)
        return criterion(z0, z1)

    groups = kit.groups(encoder, head, **of_others)
    return kit.training(forward, kit.lars(groups, lr=kit.rate(0.2), momentum=0.9, weight_decay=1e-6), encoder)


def _nnclr(kit: Kit) -> Training:
    encoder, width = kit.encoder(), kit.width()
    head = kit.head("NNCLRProjectionHead", "projector", width, 2048, 256)
    predictor = kit.head("NNCLRPredictionHead", "predictor", 256, 4096, 256)
    from lightly.models.modules import NNMemoryBankModule

    bank: Any = NNMemoryBankModule(size=(QUEUE, 256))
    bank.bank = kit.method.get_buffer("memory.queue").T.contiguous()
    criterion = kit.loss.NTXentLoss(temperature=0.1)

    def forward() -> Tensor:
        (z0, p0), (z1, p1) = ((z, predictor(z)) for z in (head(encoder(x).flatten(1)) for x in kit.views))
        near0, near1 = bank(z0.detach(), update=False), bank(z1.detach(), update=True)
        return 0.5 * (criterion(near0, p1) + criterion(near1, p0))

    groups = kit.groups(encoder, head, predictor)
    return kit.training(forward, kit.lars(groups, lr=kit.rate(0.3), momentum=0.9, weight_decay=1e-6), encoder)


def _swav(kit: Kit) -> Training:
    encoder = kit.encoder()
    head = kit.head("SwaVProjectionHead", "projector", kit.width(), 2048, 128)
    from lightly.models.modules import SwaVPrototypes

    prototypes: Any = SwaVPrototypes(128, n_prototypes=3000)
    prototypes.heads[0].weight.data.copy_(kit.method.get_parameter("prototypes.weight"))
    prototypes.heads[0].bias.data.zero_()  # published prototypes have none
    criterion = kit.loss.SwaVLoss()
    large, small = kit.views[:2], kit.views[2:]

    def scores(features: Tensor) -> Tensor:
        return prototypes(F.normalize(head(features.flatten(start_dim=1)), dim=1, p=2))

    def forward() -> Tensor:
        prototypes.normalize()
        if kit.setting.exact:
            found = scores(torch.cat([encoder(torch.cat(large)), encoder(torch.cat(small))])).chunk(8)
        else:
            found = tuple(scores(encoder(x)) for x in kit.views)
        return criterion(list(found[:2]), list(found[2:])).sum()

    groups = kit.groups(encoder, head, prototypes)
    return kit.training(forward, kit.lars(groups, lr=kit.rate(0.6), momentum=0.9, weight_decay=1e-6), encoder)


def _dino(kit: Kit) -> Training:
    encoder, slow, width = kit.encoder(), kit.resting(kit.encoder("target_backbone")), kit.width()
    heads = [kit.head("DINOProjectionHead", f"{name}projector", width) for name in ("", "target_")]
    for head, name in zip(heads, ("", "target_"), strict=True):
        last = kit.method.get_submodule(f"{name}prototypes")
        head.last_layer.weight_v.data.copy_(last.get_parameter("weight_v"))
    head, slow_head = heads[0], kit.resting(heads[1])
    criterion = kit.loss.DINOLoss()
    large, small = torch.cat(kit.views[:2]), torch.cat(kit.views[2:])

    def student(x: Tensor) -> Tensor:
        return head(encoder(x).flatten(start_dim=1))

    def forward() -> Tensor:
        with torch.no_grad():
            teacher = slow_head(slow(large).flatten(start_dim=1))
        found = torch.cat([student(large), student(small)])
        return criterion(teacher.chunk(2), found.chunk(len(kit.views)), teacher_temp=0.04)

    sgd = torch.optim.SGD(kit.groups(encoder, head), lr=kit.rate(0.03), momentum=0.9, weight_decay=1e-4)
    return kit.training(forward, sgd, encoder, (encoder, slow), (head, slow_head), clip=3.0)


ROWS: dict[str, Callable[[Kit], Training]] = {
    "simclr": _simclr,
    "moco_v2": _moco_v2,
    "byol": _byol,
    "simsiam": _simsiam,
    "barlow": _barlow,
    "vicreg": _vicreg,
    "nnclr": _nnclr,
    "swav": _swav,
    "dino": _dino,
    **MAPS,
}
