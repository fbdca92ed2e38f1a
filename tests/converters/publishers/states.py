"""Dictionaries like the publishers', apart from how they are stored."""

from __future__ import annotations

from typing import Any

import torch

from tests.converters import foreign_names as names
from tests.converters.foreign_names import prefixed, renamed
from tests.converters.publishers.files import OPTIONS, linear, norm, sgd

Tensors = dict[str, Any]


def pair(q: Tensors, k: Tensors, online: str, ema: str, **junk: torch.Tensor) -> Tensors:
    return prefixed(q, online) | prefixed(k, ema) | junk


def moco(q: Tensors, k: Tensors) -> Any:
    state = pair(q, k, "module.encoder_q.", "module.encoder_k.")
    state |= (
        linear("module.encoder_q.fc.0") | linear("module.encoder_q.fc.2") | linear("module.encoder_k.fc.0")
    )
    state |= {"module.queue": torch.randn(128, 512), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    return {"epoch": 200, "arch": "resnet50", "state_dict": state, "optimizer": sgd()}


def moco_v3(q: Tensors, k: Tensors) -> Any:
    state = pair(q, k, "module.base_encoder.", "module.momentum_encoder.")
    state |= (
        linear("module.base_encoder.fc.0")
        | norm("module.base_encoder.fc.1")
        | norm("module.base_encoder.fc.4")
    )
    state |= linear("module.predictor.0") | norm("module.predictor.1")
    return {
        "epoch": 1000,
        "arch": "resnet50",
        "state_dict": state,
        "optimizer": sgd(),
        "scaler": {"scale": 1.0},
    }


def wrapped(state: Tensors, key: str = "state_dict", **more: Any) -> Any:
    return {"epoch": 100, key: state, "optimizer": sgd(), **more}


def supervised(q: Tensors, k: Tensors) -> Any:
    return wrapped(prefixed(q, "module.supervised.") | linear("module.supervised.fc"), arch="resnet50")


def pycontrast(q: Tensors, k: Tensors) -> Any:
    model = prefixed(q, "module.encoder.") | linear("module.head.0") | linear("module.head_jig.fc1")
    contrast = {"memory": torch.randn(50, 16), "params": torch.tensor([-1])}
    return wrapped(
        model, "model", contrast=contrast, model_ema=prefixed(k, "encoder.") | linear("head.0"), opt=OPTIONS
    )


def dino(student: Tensors, teacher: Tensors) -> Any:
    return wrapped(
        prefixed(student, "module.backbone.") | linear("module.head.mlp.0"),
        "student",
        teacher=prefixed(teacher, "module.backbone.") | linear("module.head.mlp.0"),
        args=OPTIONS,
        dino_loss={"center": torch.zeros(1, 64)},
    )


def vissl(trunk: Tensors, loss: Tensors) -> Any:
    heads = linear("0.clf.0")
    return {
        "phase_idx": 1,
        "type": "consolidated",
        "classy_state_dict": {
            "base_model": {
                "model": {"trunk": prefixed(trunk, "_feature_blocks."), "heads": heads},
                "meta": {},
            },
            "loss": loss,
            "optimizer": {"optim": sgd()},
        },
    }


def densecl(q: Tensors, k: Tensors) -> Any:
    state = (
        prefixed(q, "backbone.") | pair(q, k, "encoder_q.0.", "encoder_k.0.") | linear("encoder_q.1.mlp.0")
    )
    state |= {"queue": torch.randn(16, 32), "queue2": torch.randn(16, 32), "queue_ptr": torch.zeros(1)}
    return {"meta": {"env": OPTIONS}, "state_dict": state, "optimizer": sgd()}


def obow(q: Tensors, k: Tensors) -> Any:
    student, teacher = renamed(q, names.obow), renamed(k, names.obow)
    state = pair(student, teacher, "feature_extractor.", "feature_extractor_teacher.", _alpha=torch.ones(1))
    return {"network": state | linear("bow_predictor.layers_w.0.0") | linear("linear_classifier.layers.3")}


SOLO = linear("projector.0") | linear("classifier") | linear("momentum_projector.0")
SWAV = linear("module.projection_head.0") | linear("module.prototypes.prototypes0")
LIGHTLY = linear("projection_head.layers.0") | linear("online_classifier.layers.0")
