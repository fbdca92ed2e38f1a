"""Refuses recipes whose box heads contradict themselves, or set what no head of theirs obeys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transfer.errors import TransferError

_NAME, _BOX, _CASCADE = "MODEL.ROI_HEADS.NAME", "MODEL.ROI_BOX_HEAD.", "MODEL.ROI_BOX_CASCADE_HEAD."
CASCADE = "CascadeROIHeads"
# Key -> its default, and what else must be set for it to be obeyed.
_IDLE: dict[str, tuple[Any, str, Any]] = {
    _CASCADE + "IOUS": ([0.5, 0.6, 0.7], _NAME, CASCADE),
    _CASCADE + "BBOX_REG_WEIGHTS": (
        [[10.0, 10.0, 5.0, 5.0], [20.0, 20.0, 10.0, 10.0], [30.0, 30.0, 15.0, 15.0]],
        _NAME,
        CASCADE,
    ),
    _BOX + "FED_LOSS_NUM_CLASSES": (50, _BOX + "USE_FED_LOSS", True),
    _BOX + "FED_LOSS_FREQ_WEIGHT_POWER": (0.5, _BOX + "USE_FED_LOSS", True),
}


def check_box_heads(flat: Mapping[str, Any], where: Callable[[str], str]) -> None:
    """Refuses the first contradiction with key, value and what was expected; `where(key)` says who set it."""

    def need(key: str, holds: bool, expected: str) -> None:
        if not holds:
            raise TransferError(f"{where(key)}: {key} is {flat[key]!r:.100}; expected {expected}")

    for key, (default, other, value) in _IDLE.items():
        need(key, flat[key] == default or flat[other] == value, f"{default!r}, or {other} {value}")
    if flat[_BOX + "USE_FED_LOSS"]:
        need(_BOX + "USE_SIGMOID_CE", flat[_BOX + "USE_SIGMOID_CE"], f"True with {_BOX}USE_FED_LOSS")
        classes = flat["MODEL.ROI_HEADS.NUM_CLASSES"]
        few = flat[_BOX + "FED_LOSS_NUM_CLASSES"] <= classes
        need(_BOX + "FED_LOSS_NUM_CLASSES", few, f"no more than MODEL.ROI_HEADS.NUM_CLASSES, {classes}")
    if flat[_NAME] == CASCADE:
        overlaps, first = flat[_CASCADE + "IOUS"], flat["MODEL.ROI_HEADS.IOU_THRESHOLDS"]
        agnostic = _BOX + "CLS_AGNOSTIC_BBOX_REG"
        need(agnostic, flat[agnostic], f"True in {CASCADE}, whose stages have one box a region")
        equal = overlaps[:1] == first
        need(_CASCADE + "IOUS", equal, f"a first one that is MODEL.ROI_HEADS.IOU_THRESHOLDS, {first}")
        stages = len(flat[_CASCADE + "BBOX_REG_WEIGHTS"]) == len(overlaps)
        need(_CASCADE + "BBOX_REG_WEIGHTS", stages, f"{len(overlaps)} lists, one for each of {_CASCADE}IOUS")
