"""Lets Detectron2's models run in several CPU processes."""

from __future__ import annotations

import logging

import torch
import torch.distributed as dist
from torch import nn

from transfer.engines.norms import SyncBatchNorm2d

log = logging.getLogger(__name__)


def synchronise_on_cpu(model: nn.Module, device: torch.device) -> None:
    """Replaces every SyncBN of a model for several CPU processes by one that computes the same there.

    Detectron2's SyncBN is torch's, which refuses CPU tensors; nothing else is touched: on a GPU, and for
    naiveSyncBN, the modules are Detectron2's own.
    """
    if device.type != "cpu" or not dist.is_initialized() or dist.get_world_size() == 1:
        return
    replaced = 0
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.SyncBatchNorm):
                setattr(parent, name, _equivalent(child))
                replaced += 1
    if replaced and dist.get_rank() == 0:
        log.warning("%d SyncBN layers replaced: torch's own needs a GPU in several processes", replaced)


def _equivalent(norm: nn.SyncBatchNorm) -> SyncBatchNorm2d:
    made = SyncBatchNorm2d(norm.num_features)
    made.eps, made.momentum = norm.eps, norm.momentum
    made.load_state_dict(norm.state_dict())
    return made
