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

    Raises TransferError with the difference unless all tensors of the model are set and all of the file used.
    """
    wanted = [name for name in state if not name.endswith(COUNTER)]
    missing = [name for name in wanted if name not in weights]
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
    with torch.no_grad():
        for name in both:
            state[name].copy_(torch.from_numpy(weights[name]))
    unused = sorted(name for name in weights if name not in state)
    return LoadReport(set=len(wanted), total=len(wanted), fresh=[], dropped=unused)


def _few(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(sorted(names)[:SHOWN])}{more}"
