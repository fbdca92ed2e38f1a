"""Reads heads and views of a row from short texts. It imports no torch.

A head is written as `2048:bn-2048:bn-128`: linear layers, joined by "-". One is a width (a number, or `w` for
that of the inputs), a letter (`b` with a bias, `f` with a bias that does not learn, none without), and words
behind colons: the norm (`bn`; `bn0` without scale and shift; `bns` with a scale alone) and the activation
(`gelu`; ReLU where nothing is said). Only its norm follows the last layer. `none` is no layer.

Views are written as `2*swav+6*swav_local@3/7`: how many, by which recipe of `pretrain.images.recipes`, and
what share of --image-size they are wide.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from fractions import Fraction

from pretrain.images.recipes import RECIPES

LARGEST = 4  # share of the image size that a view may be wide
_VIEWS = re.compile(r"(?:(?P<count>[1-9]\d?)\*)?(?P<recipe>\w+)(?:@(?P<share>[1-9]\d*/[1-9]\d*))?")
_LAYER = re.compile(
    r"(?P<width>w|[1-9]\d{0,6})(?P<bias>[bf]?)(?::(?P<norm>bn[0s]?))?(?::(?P<act>gelu|relu))?"
)


@dataclass(frozen=True)
class Layer:
    """One linear layer and what follows it."""

    width: int  # 0: that of the inputs
    bias: str  # "", "b" or "f"
    norm: str  # "", "bn", "bn0" or "bns"
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


def width_of(text: str, width: int) -> int:
    """The outputs of a head for inputs Nx`width`; 0 where they are those of the inputs and `width` is 0."""
    described = layers(text)
    return (described[-1].width or width) if described else width


def read_spec(text: str) -> str:
    """Reads the text of a flag, which stays a text."""
    try:
        layers(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


@dataclass(frozen=True)
class Asked:
    """Views of one kind: how many, by which recipe, and their width as a share of the image size."""

    count: int
    recipe: str
    share: Fraction


def asked(text: str) -> list[Asked]:
    """The views of a text. Raises ValueError, which says what is expected, for any other text."""
    found = [_VIEWS.fullmatch(part) for part in text.split("+")]
    for part, match in zip(text.split("+"), found, strict=True):
        if match is None or match["recipe"] not in RECIPES:
            known = ", ".join(RECIPES)
            raise ValueError(f"{part!r}: expected views such as 2*swav or swav_local@3/7, by {known}")
    return [Asked(int(m["count"] or 1), m["recipe"], Fraction(m["share"] or 1)) for m in found if m]


def read_view(text: str) -> str:
    """Reads the text of a flag that asks for one view."""
    if sum(one.count for one in asked(_known(text))) > 1:
        raise argparse.ArgumentTypeError(f"expected one view, got {text!r}")
    return text


def read_views(text: str) -> str:
    """Reads the text of a flag that asks for two views or more."""
    if sum(one.count for one in asked(_known(text))) < 2:
        raise argparse.ArgumentTypeError(f"expected two views at least, got {text!r}")
    return text


def _known(text: str) -> str:
    try:
        wanted = asked(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if wide := [part for part, one in zip(text.split("+"), wanted, strict=True) if one.share > LARGEST]:
        raise argparse.ArgumentTypeError(f"{wide[0]!r}: expected at most {LARGEST} times --image-size")
    return text
