"""Hands the records of a run to TensorBoard, or to any module with `init`, `log` and `finish`.

Pre-training and fine-tuning share this module; like `options.py` beside it, it imports nothing but the
standard library until a tracker is asked for. What a tracker raises while a run goes on is told once, and
the run goes on without it.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CALLS = ("init", "log", "finish")
BOARD = "torch.utils.tensorboard"  # needs the package tensorboard


class TrackerError(ValueError):
    """Says in one line why a tracker cannot be had, and what to do."""


@dataclass(frozen=True)
class Run:
    """A run as trackers show it; TensorBoard's files lie in `tensorboard` below the directory."""

    directory: Path
    project: str
    name: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Trackers:
    """The trackers that were asked for by the flags of `add_flags`."""

    tensorboard: bool = False
    module: str | None = None

    def check(self) -> None:
        """Imports what they need. TrackerError where that cannot be had, or is no tracker."""
        for flag, module in self.flags:
            _load(flag, module)

    def begin(self, run: Run, warn: Callable[[str], None]) -> list[Tracker]:
        """Begins the run in each of them. TrackerError where one refuses; `warn` gets what fails later."""
        return [Tracker(flag, module, run, warn) for flag, module in self.flags]

    @property
    def flags(self) -> list[tuple[str, str]]:
        """(the flag as it was typed, the module that it needs) of each."""
        named = [] if self.module is None else [(f"--tracker {self.module or repr('')}", self.module)]
        return [*([("--tensorboard", BOARD)] if self.tensorboard else []), *named]


class Tracker:
    """One run in one tracker."""

    def __init__(self, flag: str, module: str, run: Run, warn: Callable[[str], None]) -> None:
        """Calls init(project=..., name=..., config=...). TrackerError where that is not possible."""
        loaded = _load(flag, module)
        self._calls: Any = _Board(loaded, run.directory) if module == BOARD else loaded
        self._flag, self._warn = flag, warn
        try:
            self._calls.init(project=run.project, name=run.name, config=dict(run.config))
        except Exception as error:
            raise TrackerError(f"{flag}: init failed ({_line(error)}); run without it") from None

    def log(self, values: Mapping[str, float], iteration: int) -> None:
        """Hands over the values after so many iterations."""
        self._call("log", dict(values), step=iteration)

    def close(self) -> None:
        """Ends the run there."""
        self._call("finish")
        self._calls = None

    def _call(self, name: str, *values: Any, **named: Any) -> None:
        if self._calls is None:
            return
        try:
            getattr(self._calls, name)(*values, **named)
        except Exception as error:
            self._calls = None
            self._warn(f"{self._flag}: {name} failed ({_line(error)}); the run goes on without it")


def add_flags(group: argparse._ActionsContainer) -> None:
    """Adds --tensorboard and --tracker to a command; Trackers(args.tensorboard, args.tracker) has them."""
    board = "scalars for TensorBoard as well (needs the package)"
    group.add_argument("--tensorboard", action="store_true", help=board)
    module = "hand the records to this module too, which has init, log and finish (trackio, wandb, swanlab)"
    group.add_argument("--tracker", metavar="MODULE", help=module)


@contextmanager
def tracking(wanted: Trackers, run: Run | None, warn: Callable[[str], None]) -> Iterator[Sequence[Tracker]]:
    """Gives the trackers of a run, and closes them at its end; none where `run` is another process's to tell.

    They were checked before the start, so that one which refuses now is one warning and left out.
    """
    if run is None:
        yield ()
        return
    begun: list[Tracker] = []
    for flag, module in wanted.flags:
        try:
            begun.append(Tracker(flag, module, run, warn))
        except TrackerError as error:
            warn(f"{error}; this run goes on without it")
    try:
        yield begun
    finally:
        for tracker in begun:
            tracker.close()


class _Board:
    """TensorBoard with the three functions of a tracker."""

    def __init__(self, library: Any, directory: Path) -> None:
        self._library, self._directory = library, directory / "tensorboard"
        self._writer: Any = None

    def init(self, **_: Any) -> None:
        """Waits for the first values: what a killed run wrote behind them is taken back then."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        if self._writer is None:
            self._writer = self._library.SummaryWriter(str(self._directory), purge_step=step)
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _load(flag: str, module: str) -> Any:
    try:
        loaded = importlib.import_module(module)
    except Exception as error:  # whatever a name that is none, or the module itself, raises
        what = "needs the package tensorboard" if module == BOARD else "cannot be imported"
        raise TrackerError(f"{flag}: {what} ({_line(error)}); install it, or run without it") from None
    missing = [name for name in CALLS if module != BOARD and not callable(getattr(loaded, name, None))]
    if missing:
        expected = f"expected a module with {', '.join(CALLS)}"
        raise TrackerError(f"{flag}: has no function {missing[0]}; {expected}")
    return loaded


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
