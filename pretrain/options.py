"""Reads the options of this package's commands. Each is given once; a mistake is told in one line."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NoReturn, TypeVar

from converters import options
from pretrain.errors import complain

MOST = 2**31 - 1
Frozen = TypeVar("Frozen")


class Parser(options.Parser):
    """Refuses an option that is given again, with all its values: the earlier ones would be lost."""

    def repeated(self, action: argparse.Action, name: str, before: Any, values: Any) -> NoReturn:
        several = "give all values after one" if action.nargs else "give it once"
        self.error(f"{name} is given more than once; {several}")

    def error(self, message: str) -> NoReturn:
        complain(f"{message}; see {self.prog} --help")
        raise SystemExit(2)


def frozen(kind: type[Frozen], args: argparse.Namespace, **more: Any) -> Frozen:
    """Makes a dataclass from the arguments named as its fields, and from `more`; lists become tuples."""
    values = {**vars(args), **more}
    chosen = {field.name: values[field.name] for field in fields(kind)}  # type: ignore[arg-type]
    return kind(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in chosen.items()}
    )


def positive(text: str) -> int:
    """Reads a whole number from 1 on."""
    return whole(1)(text)


def whole(least: int, most: int = MOST) -> Callable[[str], int]:
    """Makes the reader of a whole number between two others, which belong to the range."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            limit = f"of at least {least}" if value < least else f"of at most {most}"
            raise argparse.ArgumentTypeError(f"expected a whole number {limit}, got {text!r}")
        return value

    return read


def real(
    least: float, most: float = math.inf, *, above: bool = False, below: bool = False
) -> Callable[[str], float]:
    """Makes the reader of a finite number from `least` (or above it) to `most` (or below it)."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        low_enough = value <= most and math.isfinite(value)
        if not low_enough or value < least or (above and value == least) or (below and value == most):
            low = f"above {least:g}" if above else f"from {least:g}"
            high = "" if most == math.inf else f" {'and below' if below else 'to'} {most:g}"
            raise argparse.ArgumentTypeError(f"expected a finite number {low}{high}, got {text!r}")
        return value

    return read


def or_none(read: Callable[[str], float]) -> Callable[[str], float | None]:
    """Makes the reader of a number that a run may do without: `none` is None."""

    def read_or_none(text: str) -> float | None:
        return None if text == "none" else read(text)

    return read_or_none


class Switch(argparse.Action):
    """Takes --NAME and --no-NAME; a second of them is refused, as a second value of any option is."""

    def __init__(self, option_strings: Sequence[str], **given: Any) -> None:
        both = [*option_strings, *(name.replace("--", "--no-", 1) for name in option_strings)]
        super().__init__(both, nargs=0, **given)

    def format_usage(self) -> str:
        return " | ".join(self.option_strings)

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        if option_string is not None and self.dest in parser.given:
            parser.repeated(self, option_string, getattr(namespace, self.dest), values)
        parser.given.add(self.dest)
        setattr(namespace, self.dest, not (option_string or "").startswith("--no-"))


def device(text: str) -> str:
    """Reads where a run computes, before torch is imported."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", text):
        raise argparse.ArgumentTypeError(f"expected auto, cpu, cuda or cuda:N, got {text!r}")
    return text


def seed(text: str) -> int:
    """Reads the seed of a run, which the counter-based generator and torch both take as it is."""
    return whole(0, 2**63 - 1)(text)


def add_watching(group: argparse._ActionsContainer) -> None:
    """Adds the options of every training command: when to report and when to save."""
    group.add_argument(
        "-p", "--print-freq", type=positive, default=10, metavar="N", help="iterations between reports"
    )
    group.add_argument("--save-minutes", type=real(0), default=10.0, metavar="N")


def add_encoder_options(parser: Parser) -> None:
    """Adds the options of every command that runs a finished encoder over a folder."""
    parser.add_argument("--image-size", type=positive, default=224, metavar="N")
    parser.add_argument("-b", "--batch-size", type=positive, default=256, metavar="N")
    parser.add_argument("-j", "--workers", type=positive, metavar="N", help="threads that prepare images")
    parser.add_argument(
        "--key-encoder",
        action="store_true",
        help="of the encoder that is not evaluated: MoCo's encoder_k, DINO's student",
    )
    parser.add_argument("--device", type=device, default="auto", help="auto, cpu, cuda or cuda:N")


def default_workers() -> int:
    """One thread a core of this process's share, 16 at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(16, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))
