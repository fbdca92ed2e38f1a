"""Shows a long loop in one line: redrawn in place on a terminal, printed every few seconds in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LOG_EVERY_S = 10.0
# Call it when one more step is done; the text (a loss, say) is shown behind it.
Advance = Callable[[str], None]


@contextmanager
def progress(what: str, total: int, start: int = 0, quiet: bool = False) -> Iterator[Advance]:
    """Shows steps `start`..`total` of `what` on standard error; `quiet` for all processes but the first."""
    console = Console(stderr=True)
    if quiet:
        yield lambda note: None
    elif console.is_terminal:
        with _bar(console) as bar:
            task = bar.add_task(what, total=total, completed=start, note="")
            yield lambda note: bar.update(task, advance=1, note=note)
    else:
        yield _line_writer(what, total, start)


def _bar(console: Console) -> Progress:
    note = TextColumn("{task.fields[note]}")
    eta = (TimeElapsedColumn(), TextColumn("eta"), TimeRemainingColumn())
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), note, *eta, console=console
    )


def _line_writer(what: str, total: int, start: int) -> Advance:
    began = last = time.monotonic()
    done = start

    def advance(note: str) -> None:
        nonlocal last, done
        done += 1
        now = time.monotonic()
        if now - last < LOG_EVERY_S and done != total:
            return
        last = now
        left = (now - began) / (done - start) * (total - done)
        print(f"{what} {done}/{total}  {note}  eta {clock(left)}", file=sys.stderr, flush=True)

    return advance


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
