"""Shows and records a run while it goes: progress line, log.jsonl; trackers on request."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from converters.options import visible
from converters.trackers import Tracker
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


def is_logged(directory: Path, iteration: int, name: str) -> bool:
    """Whether the log of a run holds this value of this iteration."""
    records = map(json.loads, (directory / LOG).read_text().splitlines())
    return any(record["iteration"] == iteration and name in record for record in records)


class Reporter:
    """Shows progress to the user and keeps the records of one run; quiet in all processes but the first."""

    def __init__(
        self,
        directory: Path,
        *,
        first: int,
        total: int,
        batch_size: int,
        trackers: Sequence[Tracker] = (),
        quiet: bool = False,
    ) -> None:
        self._quiet, self._trackers = quiet, trackers
        self._total, self._batch_size = total, batch_size
        self._clock = self._line = time.monotonic()
        self._done = first
        self._bar: Any = None
        self._file: Any = None
        if quiet:
            return
        self._file = open(directory / LOG, "a", buffering=1)  # noqa: SIM115  closed in close()
        if sys.stderr.isatty():
            self._bar = _bar()
            self._bar.add_task("until the first report", total=total, completed=first)
            self._bar.start()

    def say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(visible(text), highlight=False, markup=False)
        elif not self._quiet:
            print(visible(text), flush=True)

    def step(self, iteration: int, values: dict[str, float]) -> None:
        """Records values after `iteration` iterations. Speed is that since the last call."""
        if self._quiet:
            return
        now = time.monotonic()
        speed = (iteration - self._done) / max(now - self._clock, 1e-9)
        self._clock, self._done = now, iteration
        images_per_s = speed * self._batch_size
        self.record(iteration, values, images_per_s=round(images_per_s, 1))
        text = summary(values, images_per_s, (self._total - iteration) / max(speed, 1e-9))
        if self._bar is not None:
            self._bar.update(0, completed=iteration, description=text)
        elif now - self._line > SECONDS_BETWEEN_LINES or iteration == self._total:
            self._line = now
            print(f"iteration {iteration}/{self._total} {text}", flush=True)

    @contextmanager
    def phase(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Shows a work of `total` parts beside the iterations; gives the function that counts its parts.

        Its time does not count in the speed of the run.
        """
        begin = time.monotonic()
        with _shown(total, title, self._bar, self._quiet) as advance:
            yield advance
        self._clock += time.monotonic() - begin

    def record(self, iteration: int, values: dict[str, float], **more: float) -> None:
        """Writes values to log.jsonl and the trackers without showing them."""
        if self._quiet:
            return
        self._file.write(json.dumps({"iteration": iteration, **values, **more}) + "\n")
        for tracker in self._trackers:
            tracker.log({**values, **more}, iteration)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        for tracker in self._trackers:
            tracker.close()
        if self._bar is not None:
            self._bar.stop()


def summary(values: dict[str, float], images_per_s: float, seconds_left: float) -> str:
    """The text beside the count of iterations, within 80 columns, the most important first."""
    kinds = {"loss": ".4g", "acc1": ".1f", "acc5": ".1f", "lr": ".3g"}
    shown = " ".join(f"{name} {value:{kinds.get(name, '.4g')}}" for name, value in values.items())
    speed = f"{images_per_s:.0f}" if images_per_s > 99 else f"{images_per_s:.3g}"
    return f"ETA {time_left(seconds_left)} {shown} {speed} img/s"


def time_left(seconds: float) -> str:
    """The time as 7:33:20, or as 2d 7h where it takes days."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours // 24}d {hours % 24}h" if hours > 23 else f"{hours}:{rest // 60:02}:{rest % 60:02}"


def shown(total: int, title: str) -> AbstractContextManager[Callable[[int], None]]:
    """Shows a command's work of `total` parts: by a bar on a terminal, else by a line now and then."""
    return _shown(total, title, _bar() if sys.stderr.isatty() else None, False)


@contextmanager
def _shown(total: int, title: str, bar: Any, quiet: bool) -> Iterator[Callable[[int], None]]:
    begin = line = time.monotonic()
    done = 0
    own = bar is not None and not bar.tasks
    task = None if bar is None else bar.add_task(title, total=total)

    def advance(count: int) -> None:
        nonlocal done, line
        done, now = done + count, time.monotonic()
        left = (now - begin) / max(done, 1) * (total - done)
        if bar is not None:
            bar.update(task, completed=done, description=f"{title}, ETA {time_left(left)}")
        elif not quiet and now - line > SECONDS_BETWEEN_LINES:
            line = now
            print(f"{title}: {done}/{total} ETA {time_left(left)}", file=sys.stderr, flush=True)

    try:
        if own:
            bar.start()
        yield advance
    finally:
        if bar is not None:
            bar.remove_task(task)
        if own:
            bar.stop()


def _bar() -> Any:
    """Count and text in full, and of the bar what is left of the line."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    text = "{task.completed:.0f}/{task.total:.0f} {task.description}"
    columns = (
        TextColumn(text, markup=False, table_column=Column(no_wrap=True)),
        BarColumn(None, table_column=Column(ratio=1)),
    )
    return Progress(*columns, console=Console(stderr=True), expand=True)


def write_result(result: dict[str, Any], path: Path) -> None:
    """Writes JSON; on failure nothing is left half-written and PretrainError is raised."""
    from boltons.fileutils import atomic_save

    try:
        with atomic_save(str(path), text_mode=True, overwrite_part=True) as file:
            file.write(json.dumps(result, indent=2) + "\n")
    except OSError as error:
        raise PretrainError(f"--output {path}: cannot be written ({error.strerror})") from None
