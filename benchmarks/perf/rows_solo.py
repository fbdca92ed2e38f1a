"""Makes solo-learn's training steps: its own methods, whose `training_step` is called without a trainer.

A checkout of vturrisi/solo-learn is imported; lightning, torchmetrics and omegaconf must be importable, best
from a folder of their own on PYTHONPATH. Its online classifier is a part of its step: it begins at zero, so
that its loss is the logarithm of the number of classes and moves nothing else.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from benchmarks.perf.rows_ours import QUEUE, Setting, Training, make_method, make_views

CLASSES = 100
IMPORTS = ("omegaconf", "solo.methods")
# How a loss of solo-learn's becomes ours: times the first, plus the second. Gradients have the first alone.
NO_CLASSES = (1.0, -math.log(CLASSES))
LARS = {"name": "lars", "lr": 0.02, "weight_decay": 1e-6, "kwargs": {"eta": 0.001, "momentum": 0.9}}
SGD = {"name": "sgd", "lr": 0.003, "weight_decay": 1e-4, "kwargs": {"momentum": 0.9}}
# solo-learn's name, optimizer and values of a row. VICReg's variance counts half in ours, as published.
KINDS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "byol": ("byol", LARS, {"proj_hidden_dim": 4096, "proj_output_dim": 256, "pred_hidden_dim": 4096}),
    "simsiam": ("simsiam", SGD, {"proj_hidden_dim": 2048, "proj_output_dim": 2048, "pred_hidden_dim": 512}),
    "barlow": ("barlow_twins", LARS, {"proj_hidden_dim": 8192, "proj_output_dim": 8192, "scale_loss": 1.0}),
    "vicreg": ("vicreg", LARS, {"proj_hidden_dim": 8192, "proj_output_dim": 8192, "var_loss_weight": 12.5}),
    "nnclr": (
        "nnclr",
        LARS,
        {
            "proj_hidden_dim": 2048,
            "proj_output_dim": 256,
            "pred_hidden_dim": 4096,
            "temperature": 0.1,
            "queue_size": QUEUE,
        },
    ),
}
ROWS = KINDS
TO_OURS = dict.fromkeys(KINDS, NO_CLASSES)
NOTES: dict[str, str] = {}
# Its parts, by ours.
PARTS = {
    "backbone": "backbone",
    "projector": "projector",
    "predictor": "predictor",
    "target_backbone": "momentum_backbone",
    "target_projector": "momentum_projector",
}


def training(setting: Setting) -> Training:
    """solo-learn's step of a row, with the weights that ours begins with."""
    warnings.filterwarnings("ignore")  # one a step: there is no trainer to log to
    theirs = _method(setting)
    views = make_views(setting)
    if setting.tuned:
        theirs.to(memory_format=torch.channels_last)
    optimizer = theirs.configure_optimizers()
    index, labels = (torch.zeros(setting.batch_size, dtype=torch.long) for _ in range(2))

    def forward() -> Tensor:
        return theirs.training_step([index, views, labels], 0)

    def update(loss: Tensor) -> None:
        theirs.optimizer_zero_grad(0, 0, optimizer)
        loss.backward()
        optimizer.step()
        for network, slow in getattr(theirs, "momentum_pairs", ()):
            theirs.momentum_updater.update(network, slow)

    return Training(forward, update, theirs.backbone)


def _method(setting: Setting) -> Any:
    from omegaconf import OmegaConf
    from solo.methods import METHODS

    kind, optimizer, values = KINDS[setting.row]
    crops = {"num_large_crops": 2, "num_small_crops": 0}
    options = {
        "method": kind,
        "backbone": {"name": setting.arch},
        "data": {"dataset": "custom", "num_classes": CLASSES, **crops},
        "max_epochs": 100,
        "optimizer": {"batch_size": setting.batch_size, "classifier_lr": 0.1, **optimizer},
        "scheduler": {"name": "none"},
        "momentum": {"base_tau": 0.996, "final_tau": 1.0, "classifier": False},
        "method_kwargs": values,
    }
    theirs: Any = METHODS[kind](OmegaConf.create(options)).train()
    with torch.device("cpu"):
        ours = make_method(setting)
    for name, part in ours.named_children():
        if name in PARTS and part.state_dict():  # a row without a predictor has one that does nothing
            theirs.get_submodule(PARTS[name]).load_state_dict(part.state_dict())
    if "memory.queue" in dict(ours.named_buffers()):
        theirs.queue.copy_(ours.get_buffer("memory.queue").T)
    for parameter in theirs.classifier.parameters():
        torch.nn.init.zeros_(parameter)
    return theirs
