"""Reads the layers of a head from a short text, as `2048:bn-2048:bn-128`. It imports no torch.

Layers are linear and joined by "-". One is a width (a number, or `w` for that of the inputs), letters (`b` with a
bias, `f` with a bias that does not learn, neither: without), and words behind colons: the norm (`bn`; `bn0`
without scale and shift; `bns` with a scale alone) and the activation (`gelu`; ReLU where nothing is said).
Nothing follows the last layer but its norm. `none` is no layer.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

NORMS = ("", "bn", "bn0", "bns")
_LAYER = re.compile(r"(?P<width>w|[1-9]\d{0,6})(?P<bias>[bf]?)(?::(?P<norm>bn[0s]?))?(?::(?P<act>gelu|relu))?")


@dataclass(frozen=True)
class Layer:
    """One linear layer and what follows it."""

    width: int  # 0: that of the inputs
    bias: str  # "", "b" or "f"
    norm: str  # of NORMS
    activation: str  # relu or gelu


def layers(text: str) -> list[Layer]:
    """The layers of a text. Raises ValueError, which says what is expected, for any other text."""
    if text == "none":
        return []
    found = [_LAYER.fullmatch(part) for part in text.split("-")]
    if not all(found):
        bad = text.split("-")[found.index(None)]
        raise ValueError(f"{bad!r} is no layer; expected layers such as 2048:bn-512b:gelu-128, or none")
    return [
        Layer(0 if m["width"] == "w" else int(m["width"]), m["bias"], m["norm"] or "", m["act"] or "relu")
        for m in found
        if m
    ]


def read_spec(text: str) -> str:
    """Reads the text of a flag, which stays a text."""
    try:
        layers(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
