"""Loads a fine-tuned model into a freshly built one, and proves that each of its tensors arrived."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from transfer.errors import TransferError
from transfer.training.load_backbone import LoadReport

# What older files of Detectron2's have besides, and a model makes by itself.
MADE = r".*\.anchor_generator\.cell_anchors\.\d+|pixel_mean|pixel_std"
COUNTER = ".num_batches_tracked"  # nothing reads it at a test
SHOWN = 3


def load_model_into(state: Mapping[str, Tensor], weights: Mapping[str, np.ndarray]) -> LoadReport:
    """Copies the weights into the model's own tensors; both have Detectron2's names.

    Raises TransferError as `check_model` does, and copies nothing then.
    """
    check_model(state, weights)
    with torch.no_grad():
        for name in state.keys() & weights.keys():
            state[name].copy_(torch.from_numpy(weights[name]))
    total = len(_wanted(state))
    unused = sorted(name for name in weights if name not in state)
    return LoadReport(set=total, total=total, fresh=[], dropped=unused)


def check_model(state: Mapping[str, Tensor], weights: Mapping[str, np.ndarray]) -> None:
    """Proves that the weights are those of a model, of which `state` may be on the meta device.

    Raises TransferError with the difference unless all tensors of the model are set and all of the file used,
    or with the names of tensors that are not finite.
    """
    missing = [name for name in _wanted(state) if name not in weights]
    extra = [name for name in weights if name not in state and not name.endswith(COUNTER)]
    extra = [name for name in extra if not re.fullmatch(MADE, name)]
    both = [name for name in state if name in weights]
    wrong = [
        f"{name}: file {weights[name].shape}, model {tuple(state[name].shape)}"
        for name in both
        if weights[name].shape != tuple(state[name].shape)
    ]
    if missing or extra or wrong:
        kinds = {"missing": missing, "unexpected": extra, "wrong shape": wrong}
        told = "".join(f"{kind} {_few(names)}; " for kind, names in kinds.items() if names)
        raise TransferError(
            f"--eval-only: the file is not the model of this recipe: {told}give the suite, the overrides and "
            "the --init with which it was fine-tuned"
        )
    if bad := [name for name in both if not np.isfinite(weights[name]).all()]:
        raise TransferError(
            f"--eval-only: the file has tensors that are not finite: {_few(bad)}; its training diverged, or "
            "the file is damaged: fine-tune it again"
        )


def _wanted(state: Mapping[str, Tensor]) -> list[str]:
    return [name for name in state if not name.endswith(COUNTER)]


def _few(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(sorted(names)[:SHOWN])}{more}"
