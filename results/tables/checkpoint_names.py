"""Reads the run and the length of pre-training from the name of a row, as byol_epoch_8."""

from __future__ import annotations

import re
from collections.abc import Mapping

_LENGTH = re.compile(r"(?:(.*)[_.@-])?(epoch|ep|iteration|iter|it|step)s?[_-]?(\d+(?:\.\d+)?)")


def length_of(init: str, lengths: Mapping[str, float]) -> tuple[float, str] | None:
    """(length, unit) of an init: of `lengths`, or as its name says; None where neither does.

    `random@epoch_20` has the shape of a checkpoint and nothing of its pre-training.
    """
    if init in lengths:
        return float(lengths[init]), ""
    found = None if init.startswith("random") else _LENGTH.fullmatch(init)
    if not found:
        return None
    unit = "epochs" if found[2] in ("epoch", "ep") else "iterations"
    return float(found[3]), f"{unit} of pre-training"


def run_of(init: str) -> str:
    """The part of a checkpoint's name that stands for its run: "byol" of byol_epoch_8, "" of epoch_8."""
    found = _LENGTH.fullmatch(init)
    return (found and found[1]) or ""
