"""What a run shows and writes while it goes: progress line, log.jsonl, TensorBoard scalars on request."""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from pretrain.errors import PretrainError

LOG = "log.jsonl"
SECONDS_BETWEEN_LINES = 5.0


def trim_log(directory: Path, iteration: int) -> None:
    """Drops the records that a run resumed at `iteration` writes again, and a line cut short by a crash."""
    from boltons.fileutils import atomic_save

    path = directory / LOG
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            if 0 < iteration >= json.loads(line)["iteration"]:
                kept.append(line + "\n")
        except (ValueError, KeyError):
            continue
    with atomic_save(str(path), text_mode=True, overwrite_part=True) as file:
        file.writelines(kept)


class Reporter:
    """Shows progress to the user and keeps the records of one run; quiet in all processes but the first."""

    def __init__(
        self,
        directory: Path,
        *,
        first: int,
        total: int,
        batch_size: int,
        tensorboard: bool = False,
        quiet: bool = False,
    ) -> None:
        self._quiet = quiet
        self._total, self._batch_size = total, batch_size
        self._clock = self._line = time.monotonic()
        self._done = first
        self._bar: Any = None
        self._writer: Any = None
        self._file: Any = None
        if quiet:
            return
        self._file = open(directory / LOG, "a", buffering=1)  # noqa: SIM115  closed in close()
        if tensorboard:
            self._writer = _tensorboard(directory)
        if sys.stderr.isatty():
            self._bar = _bar(first, total)

    def say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, highlight=False)
        elif not self._quiet:
            print(text, flush=True)

    def step(self, iteration: int, values: dict[str, float]) -> None:
        """Records values after `iteration` iterations. Speed is that since the last call."""
        if self._quiet:
            return
        now = time.monotonic()
        speed = (iteration - self._done) / max(now - self._clock, 1e-9)
        self._clock, self._done = now, iteration
        self.record(iteration, values, images_per_s=round(speed * self._batch_size, 1))
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        text = f"{shown}  {speed * self._batch_size:.1f} images/s"
        if self._bar is not None:
            self._bar.update(0, completed=iteration, description=text)
        elif now - self._line > SECONDS_BETWEEN_LINES or iteration == self._total:
            self._line = now
            left = timedelta(seconds=round((self._total - iteration) / max(speed, 1e-9)))
            print(f"iteration {iteration}/{self._total}  {text}  ETA {left}", flush=True)

    def say_knn(self, epoch: int, iteration: int, accuracy: float) -> None:
        self.record(iteration, {"knn": accuracy})
        self.say(f"epoch {epoch}: kNN top-1 {accuracy:.2f}")

    def record(self, iteration: int, values: dict[str, float], **more: float) -> None:
        """Writes values to log.jsonl and TensorBoard without showing them."""
        if self._quiet:
            return
        self._file.write(json.dumps({"iteration": iteration, **values, **more}) + "\n")
        if self._writer is not None:
            for name, value in {**values, **more}.items():
                self._writer.add_scalar(name, value, iteration)

    def close(self) -> None:
        for thing in (self._file, self._writer):
            if thing is not None:
                thing.close()
        if self._bar is not None:
            self._bar.stop()


def _bar(first: int, total: int) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (MofNCompleteColumn(), BarColumn(20), TimeRemainingColumn(), TextColumn("{task.description}"))
    bar = Progress(*columns, console=Console(stderr=True))
    bar.add_task("starting", total=total, completed=first)
    bar.start()
    return bar


def _tensorboard(directory: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise PretrainError("--tensorboard needs the package tensorboard: pip install tensorboard") from None
    return SummaryWriter(str(directory / "tensorboard"))


def write_result(result: dict[str, Any], path: Path) -> None:
    """Writes JSON; on failure nothing is left half-written and PretrainError is raised."""
    from boltons.fileutils import atomic_save

    try:
        with atomic_save(str(path), text_mode=True, overwrite_part=True) as file:
            file.write(json.dumps(result, indent=2) + "\n")
    except OSError as error:
        raise PretrainError(f"--output {path}: cannot be written ({error.strerror})") from None
