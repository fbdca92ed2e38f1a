"""Where a backbone's tensors go in a model, and the proof that each of them arrived.

Leniency is a written argument: what may keep its initial value is listed by name in FRESH. Everything else
of the model must come from the file, exactly once and with equal shape, or the run does not start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from yacs.config import CfgNode

from converters.backbone import Backbone
from transfer.errors import TransferError
from transfer.recipes.resolve import flatten
from transfer.recipes.values import architecture

# Parameters of a detector that no backbone file holds, by design.
FRESH = (
    r"proposal_generator\..*",  # the region proposal network
    r"backbone\.fpn_(lateral|output)[2-5]\..*",  # the feature pyramid
    r"backbone\.c5_conv\..*",  # the 3x3 convolution behind a dilated res5
    r"roi_heads\.res5\.norm\..*",  # the extra norm behind res5 (MoCo paper, section 4.2)
    r"roi_heads\.(box|mask|keypoint|densepose)_(head|predictor)\..*",
    r"sem_seg_head\..*",
)
# A frozen norm has no counter, so the file's is not needed.
DROPPED = r".*\.num_batches_tracked"


@dataclass(frozen=True)
class Account:
    """What loading an init did: `set` of `total` backbone tensors, and the names left fresh or not needed."""

    set: int
    total: int
    fresh: list[str]
    dropped: list[str]

    def line(self) -> str:
        return f"{self.set} of {self.total} backbone tensors set, {len(self.fresh)} by design fresh"


# Architecture -> the module that holds the ResNet.
HOLDER = {"C4": "backbone", "DC5": "backbone.bottom_up", "FPN": "backbone.bottom_up", "FCN": "backbone"}


def placed_name(name: str, kind: str) -> str:
    """The model's name of a backbone tensor; `kind` is the architecture (see `transfer.recipes.values`).

    In a C4 detector res5 is part of the RoI heads.
    """
    return f"roi_heads.{name}" if kind == "C4" and name.startswith("res5.") else f"{HOLDER[kind]}.{name}"


def load_backbone_into(state: Mapping[str, Tensor], backbone: Backbone, cfg: CfgNode, label: str) -> Account:
    """Copies the backbone into the model's own tensors (`state` has Detectron2's names).

    Raises TransferError with the difference unless every backbone tensor of the model is set.
    """
    kind = architecture(flatten(cfg))
    placed = {placed_name(name, kind): array for name, array in backbone.weights.items()}
    fresh = [name for name in state if _is_fresh(name)]
    wanted = [name for name in state if not _is_fresh(name)]
    missing = [name for name in wanted if name not in placed]
    unexpected = [name for name in placed if name not in state and not re.fullmatch(DROPPED, name)]
    wrong = [n for n in wanted if n in placed and tuple(state[n].shape) != placed[n].shape]
    if missing or unexpected or wrong:
        shapes = [f"{n}: file {placed[n].shape}, model {tuple(state[n].shape)}" for n in wrong]
        raise TransferError(
            f"init {label} does not fit the model ({len(wanted) - len(missing + wrong)} of {len(wanted)} "
            f"backbone tensors): {_few('missing', missing)}{_few('unexpected', unexpected)}"
            f"{_few('wrong shape', shapes)}convert the checkpoint again, or fix its depth and width"
        )
    with torch.no_grad():
        for name in wanted:
            state[name].copy_(torch.from_numpy(placed[name]))
    dropped = sorted(name for name in placed if name not in state)
    return Account(set=len(wanted), total=len(wanted), fresh=sorted(fresh), dropped=dropped)


def random_account(state: Mapping[str, Tensor]) -> Account:
    """The account of the row that starts from nothing."""
    wanted = [name for name in state if not _is_fresh(name)]
    return Account(set=0, total=len(wanted), fresh=sorted(state), dropped=[])


def _is_fresh(name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in FRESH)


def _few(what: str, names: list[str], most: int = 3) -> str:
    if not names:
        return ""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what} {', '.join(names[:most])}{more}; "
