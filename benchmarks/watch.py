"""Measures a pre-training while it runs: each new checkpoint becomes a row, through the converter and suites.

`python -m benchmarks.watch DIR --suite SUITE ...` takes the checkpoints of `python -m pretrain --output DIR`
as they appear and keeps a copy of each until its cells are done, for the run removes its old ones. Whatever
ends it, the same command goes on. The rows are named after the run and the epoch, so that the report and
`python -m results evidence` draw transfer over epochs.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file: our packages lie beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.arguments import parser, refuse_output, split_overrides
from benchmarks.errors import UsageError, one_line
from benchmarks.launch import child
from converters.command import command, spelled
from converters.options import Parser
from transfer.process.disk import disk_line
from transfer.process.signals import forwarded

EPILOGUE = "All other options are those of benchmarks/run.py, such as --trials 3 --jobs 2 --data-root DIR."
OURS = ("--init", "--output", "--list", "--dry-run")  # options of benchmarks/run.py that are decided here
KEPT = "checkpoints"  # folder of the copies; a file NAME.done stands for one that is measured
_NUMBERED = re.compile(r"checkpoint_\d{8}\.pth\.tar")


@dataclass(frozen=True)
class Watch:
    """The watching of one run."""

    run: Path
    output: Path
    name: str  # of the run, in its rows
    every: float  # epochs
    words: list[str]  # for benchmarks/run.py
    seen: set[str] = field(default_factory=set)  # names of checkpoints that were looked at, due or not
    unreadable: list[str] = field(default_factory=list)  # a line about each that could not be read

    @property
    def kept(self) -> Path:
        return self.output / KEPT

    def taken(self) -> list[float]:
        """The epochs of the checkpoints that were taken before, in order."""
        found = (re.fullmatch(rf"{re.escape(self.name)}_epoch_([\d.]+)\.(pth\.tar|done)", path.name)
                 for path in self.kept.glob(f"{self.name}_epoch_*"))  # fmt: skip
        return sorted(float(match[1]) for match in found if match)

    def take(self) -> list[Path]:
        """Copies the new checkpoints that are due; returns all copies that wait, the earliest first.

        One that cannot be read is told in a line and passed over.
        """
        taken = self.taken()
        for path in sorted(path for path in self.run.glob("checkpoint_*") if _NUMBERED.fullmatch(path.name)):
            if path.name in self.seen:
                continue
            self.seen.add(path.name)
            try:
                found = self._copy(path, taken)
            except UsageError as error:
                self.unreadable.append(one_line(error))
                print(f"warning: skipping {self.unreadable[-1]}", file=sys.stderr, flush=True)
                continue
            taken += [] if found is None else [found]
        waiting = self.kept.glob(f"{self.name}_epoch_*.pth.tar")
        return sorted(waiting, key=lambda path: float(epoch_in(path)))

    def _copy(self, path: Path, taken: Sequence[float]) -> float | None:
        """Keeps one checkpoint; returns its epoch, or None where it is not due or gone already."""
        self.kept.mkdir(parents=True, exist_ok=True)
        part = self.kept / f"{self.name}.part"
        part.unlink(missing_ok=True)
        try:
            _link(path, part)  # first: the run may remove it at any time
        except FileNotFoundError:
            return None
        try:
            epoch = epoch_of(part, path)
        except UsageError:
            part.unlink()
            raise
        if any(int(epoch / self.every) <= int(other / self.every) for other in taken) or epoch < self.every:
            part.unlink()
            return None
        part.rename(self.kept / f"{self.name}_epoch_{epoch:g}.pth.tar")
        return epoch

    def command(self, path: Path) -> list[str]:
        """The words behind `python` that measure one copy."""
        init = f"{path.name.removesuffix('.pth.tar')}={path}"
        options, overrides = split_overrides(self.words)
        more = [word for pair in overrides for word in pair]
        return ["-m", "benchmarks.run", *options, "--init", init, "--output", str(self.output), *more]


def epoch_in(path: Path) -> str:
    """The epoch in the name of a copy."""
    return path.name.removesuffix(".pth.tar").rpartition("_epoch_")[2]


def epoch_of(path: Path, called: Path) -> float:
    """The epochs that were done when a checkpoint of ours was saved; UsageError where it does not say so.

    called: its name in the run
    """
    import torch

    try:
        contents: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        identity = contents["identity"]
        return round(contents["iteration"] / (identity["num_images"] // identity["batch_size"]), 4)
    except Exception as error:  # the unpickler raises many classes on foreign files; all mean the same here
        reason = " ".join(str(error).split())[:100]
        raise UsageError(f"{called}: no checkpoint of `{spelled('pretrain', '')}` ({reason})") from None


def _link(path: Path, copy: Path) -> None:
    """Gives a file a second name; where the file system has no hard links, it makes a copy."""
    try:
        os.link(path, copy)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(path, copy)


def watch(plan: Watch, *, once: bool, until: float | None, seconds: float) -> int:
    """Measures checkpoint after checkpoint; returns 0, or the code that `benchmarks.run` ended with.

    once: ends where nothing is left to be measured; until: after the first of at least so many epochs
    """
    running: list[subprocess.Popen[bytes]] = []
    failed: dict[Path, int] = {}

    def pass_on(number: int) -> None:
        for process in running:
            process.send_signal(number)

    there = any(_NUMBERED.fullmatch(path.name) for path in plan.run.glob("checkpoint_*"))
    if not there and not plan.taken():
        rest = "nothing is measured" if once else f"looking every {seconds:g} s"
        print(f"{plan.run}: no checkpoint_NNNNNNNN.pth.tar yet; {rest}", file=sys.stderr, flush=True)
    with forwarded(pass_on) as stops:
        while not stops:
            waiting = [path for path in plan.take() if path not in failed]
            if waiting:
                code = _measured(plan, waiting[0], running)
                if code and not stops:
                    failed[waiting[0]] = code
                    print(f"{waiting[0].name}: not measured; the same command tries again", file=sys.stderr)
                continue
            if once and plan.unreadable and not plan.taken():
                raise UsageError(f"{plan.unreadable[0]}; expected one checkpoint at least that can be read")
            if once or (until is not None and max(plan.taken(), default=0.0) >= until):
                break
            _sleep(seconds, lambda: bool(stops))
    return 130 if stops else next(iter(failed.values()), 0)


def _measured(plan: Watch, path: Path, running: list[subprocess.Popen[bytes]]) -> int:
    """Runs the cells of one copy and writes the report; where all went well the copy is removed."""
    print(f"\n{path.name.removesuffix('.pth.tar')}", file=sys.stderr, flush=True)
    code = 0
    report = ["-m", "results", "report", str(plan.output), "-o", str(plan.output / "report.html")]
    for words in (plan.command(path), report):
        running[:] = [subprocess.Popen([sys.executable, *words], env=child.environment())]
        code = code or running[0].wait()
        running.clear()
        if code:
            return code
    path.with_name(path.name.removesuffix(".pth.tar") + ".done").touch()
    path.unlink()
    return 0


def _sleep(seconds: float, stopped: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stopped():
        time.sleep(min(0.2, seconds))


def above_zero(text: str) -> float:
    """Reads a number of seconds or epochs. Raises ArgumentTypeError for what would be waited for in vain."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0 done, 1 a cell failed, 2 bad input, 130 stopped by a signal."""
    ours = Parser("python -m benchmarks.watch", description=__doc__.split("\n", 1)[0], epilog=EPILOGUE)
    add = ours.add_argument
    add("run", type=Path, metavar="DIR", help="the --output of a pre-training")
    add("--suite", nargs="+", required=True, metavar="NAME|FILE", help="what every checkpoint is measured on")
    add("--output", type=Path, metavar="DIR", help="records and report (default: DIR/transfer)")
    add("--name", metavar="NAME", help="of the run, in its rows (default: that of DIR)")
    add(
        "--every",
        type=above_zero,
        default=1.0,
        metavar="EPOCHS",
        help="at most one row in so many epochs (1)",
    )
    add("--once", action="store_true", help="end where no checkpoint is left, instead of waiting for more")
    add("--until", type=above_zero, metavar="EPOCH", help="end after a checkpoint of at least this epoch")
    add("--seconds", type=above_zero, default=30.0, metavar="N", help="between two looks into DIR (30)")
    try:
        args, words = ours.parse_known_args(argv)
        plan = _planned(args, words)
        return watch(plan, once=args.once, until=args.until, seconds=args.seconds)
    except UsageError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
    except OSError as error:
        print(f"error: {one_line(disk_line(error, 'output'))}", file=sys.stderr)
    return 2


def _planned(args: Any, words: list[str]) -> Watch:
    if not args.run.is_dir():
        raise UsageError(f"{args.run}: no such folder; expected the --output of `{spelled('pretrain', '')}`")
    decided = [word for word in words if word.partition("=")[0] in OURS]
    if decided:
        raise UsageError(f"{decided[0]} cannot be given: every row is a checkpoint of {args.run}")
    words = ["--suite", *args.suite, *words]
    _refuse_words(words)
    name = re.sub(r"[^\w-]+", "_", args.name or args.run.resolve().name).strip("_") or "run"
    output = args.output or args.run / "transfer"
    refuse_output(output)
    return Watch(args.run, output, name, args.every, words)


def _refuse_words(words: Sequence[str]) -> None:
    """Raises UsageError or ends where `benchmarks.run` would: the first checkpoint may be hours away."""
    from benchmarks.planning.suite import load_suites

    options, _ = split_overrides(words)
    load_suites(parser().parse_args(options).suite)


if __name__ == "__main__":
    sys.exit(command(main))
