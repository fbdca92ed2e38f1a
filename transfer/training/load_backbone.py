"""Loads a backbone's tensors into a model, and proves that each of them arrived.

Leniency is a written argument: what may keep its initial value is listed by name in the row of the
architecture, as `fresh`. Everything else of the model must come from the file, exactly once and with equal
shape, or the run does not start.
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
from transfer.recipes.architectures import Architecture, architecture_of
from transfer.recipes.resolve import flatten

# Tensors of a file that a model may lack -> the reason; the row of its family adds its own.
COUNTERS = {r".*\.num_batches_tracked": "a frozen norm has no counter"}


@dataclass(frozen=True)
class LoadReport:
    """The backbone tensors of a model, `set` of `total`; the names that stayed fresh, or were not needed.

    A dropped name of the network itself has its reason behind it, in brackets.
    """

    set: int
    total: int
    fresh: list[str]
    dropped: list[str]


def load_backbone_into(
    state: Mapping[str, Tensor], backbone: Backbone, cfg: CfgNode, label: str
) -> LoadReport:
    """Copies the backbone into the model's own tensors (`state` has Detectron2's names).

    Raises TransferError with the difference unless every backbone tensor of the model is set.
    """
    flat = flatten(cfg)
    row = architecture_of(flat)
    reasons = {row.placed_pattern(pattern): why for pattern, why in row.family.unused(flat).items()}
    needless = "|".join([*COUNTERS, *reasons])
    placed = {row.placed(name): array for name, array in backbone.weights.items()}
    wanted = _wanted(state, row)
    missing = [name for name in wanted if name not in placed]
    unexpected = [name for name in placed if name not in state and not re.fullmatch(needless, name)]
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
    dropped = sorted(_told(name, reasons) for name in placed if name not in state)
    fresh = sorted(state.keys() - set(wanted))
    return LoadReport(set=len(wanted), total=len(wanted), fresh=fresh, dropped=dropped)


def random_report(state: Mapping[str, Tensor], cfg: CfgNode) -> LoadReport:
    """Reports on the row that starts from nothing, or from what the user's own code has made."""
    wanted = _wanted(state, architecture_of(flatten(cfg)))
    made = (
        wanted if cfg.MODEL.OWN.WEIGHTS_SHA256 else []
    )  # it loads weights by itself: not set, and not fresh
    return LoadReport(set=0, total=len(wanted), fresh=sorted(state.keys() - set(made)), dropped=[])


def _wanted(state: Mapping[str, Tensor], row: Architecture) -> list[str]:
    """Returns the model's tensors that a backbone file must hold."""
    return [name for name in state if row.part(name) == "backbone"]


def _told(name: str, reasons: Mapping[str, str]) -> str:
    why = next((why for pattern, why in reasons.items() if re.fullmatch(pattern, name)), "")
    return f"{name} ({why})" if why else name


def _few(what: str, names: list[str], most: int = 3) -> str:
    if not names:
        return ""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what} {', '.join(names[:most])}{more}; "
