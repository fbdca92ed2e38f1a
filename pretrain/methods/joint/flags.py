"""Makes the flags of a row of the frame, and the row that they ask for."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from pretrain.methods.joint.published import Published
from pretrain.methods.joint.terms import OWN, TERMS, read_term
from pretrain.optimizers.rows import KINDS, Optimizer
from pretrain.options import Switch, or_none, real, whole

# The values that a run has beside those of its row, where other methods have a flag for them.
GENERAL: dict[str, Any] = {
    "cos": True,
    "schedule": [],
    "lr_decay_every": None,
    "lr_decay": 1.0,
    "bn_groups": None,
}
# Of the optimizer: its field -> what it is, and the reader of its value, or what it may be.
OPTIMIZER: dict[str, tuple[str, Any]] = {
    "kind": ("the optimizer", KINDS),
    "lr": ("learning rate; of 256 images where --per-256 holds", real(0)),
    "per_256": ("the rate grows with the batch", None),
    "wd": ("weight decay", real(0)),
    "wd_end": ("weight decay at the end, by half a cosine; none: constant", or_none(real(0))),
    "momentum": ("momentum of the optimizer", real(0, 1)),
    "exclude": ("1d: biases and norms are neither decayed nor adapted", ("none", "1d")),
    "bias_lr": ("learning rate of those that are excluded; none: that of the others", or_none(real(0))),
    "warmup_epochs": ("epochs of warm-up of the rate", whole(0)),
    "end_lr": ("learning rate at the end", real(0)),
    "end_share": ("the same as a share of the rate", real(0, 1)),
    "by_epoch": ("the rate is constant within an epoch", None),
    "eta": ("trust coefficient of LARS", real(0, above=True)),
    "clip": ("norm to which the gradient of each parameter is cut, or none", or_none(real(0, above=True))),
}
NAMED = {"kind": "--optimizer"}


def flag(name: str) -> str:
    """The flag of a field."""
    return NAMED.get(name, "--" + name.replace("_", "-"))


def row_options(row: Published) -> dict[str, tuple[str, Any]]:
    """Says what each field of the row is, with the reader of its value; the others are no flags."""
    found: dict[str, tuple[str, Any]] = {}
    # A subclass that gives another default repeats the field; what it is stands in the class above.
    for kind in reversed(type(row).__mro__):
        told = [(one.name, one.metadata) for one in fields(kind)] if is_dataclass(kind) else []
        found |= {name: (metadata["help"], metadata["read"]) for name, metadata in told if metadata}
    return found


def row_flags(row: Published) -> list[str]:
    """All flags of a row, in the order of --help."""
    return [
        flag(name)
        for name in (
            *row_options(row),
            *["terms"] * hasattr(row, "terms"),
            *OPTIMIZER,
            *["freeze_iterations"] * len(row.optimizer.freeze),
        )
    ]


def add_row(row: Published, group: argparse._ArgumentGroup) -> None:
    """Adds a flag for every value of the row and of its optimizer."""
    if hasattr(row, "terms"):
        told = f"added to the loss, as in uniformity=0.5 sigmoid=1; {OWN} is the method's own (1): "
        told += "; ".join(f"{name}: {term.told}" for name, term in TERMS.items())
        group.add_argument("--terms", type=read_term, nargs="+", default=[], metavar="NAME=WEIGHT", help=told)
    for source, options in ((row, row_options(row)), (row.optimizer, OPTIMIZER)):
        for name, (told, read) in options.items():
            _add(group, name, getattr(source, name), told, read)
    for rest in row.optimizer.freeze[:1]:
        length = f"iterations in which the {rest.part} rest ({rest.iterations or f'{rest.epochs} epochs'})"
        group.add_argument("--freeze-iterations", type=whole(0), metavar="N", help=length)


def _add(
    group: argparse._ArgumentGroup, name: str, default: Any, told: str, read: Callable | tuple | None
) -> None:
    add = group.add_argument
    if isinstance(default, bool):
        add(flag(name), dest=name, action=Switch, default=default, help=told)
    elif isinstance(read, tuple):
        add(flag(name), dest=name, choices=read, default=default, help=f"{told} ({default})")
    else:
        shown = "" if default is None else f" ({default})"
        add(flag(name), dest=name, type=read or str, default=default, metavar="X", help=told + shown)


def given_row(row: Published, args: argparse.Namespace) -> Published:
    """The row with the values that the arguments have."""
    given = vars(args)
    rests = row.optimizer.freeze
    if (length := given.get("freeze_iterations")) is not None:
        rests = tuple(replace(rest, epochs=0, iterations=length) for rest in rests if length)
    optimizer: Optimizer = replace(row.optimizer, freeze=rests, **{name: given[name] for name in OPTIMIZER})
    values = {name: given[name] for name in row_options(row)}
    if hasattr(row, "terms"):
        values["terms"] = tuple(sorted(given["terms"]))
    return replace(row, optimizer=optimizer, **values)
