"""Shows what runs, how far it is, what failed and what waits: `python -m benchmarks.top RUNS`.

RUNS is the `--output` of a grid, wherever its cells run, or a folder of `python -m pretrain`.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from converters.command import command
from converters.options import Parser, visible

if TYPE_CHECKING:
    from benchmarks.launch.standing import Standing

    Look = Callable[[], list[Standing]]

EVERY_S = 2.0
SILENT_S = 120.0  # a pre-training logs far more often, but for a kNN evaluation
SHOWN = 5  # of what is finished and what waits; of a screen's other states as many as fit
WIDE = 64  # characters of a title, at most


def main(argv: Sequence[str] | None = None) -> int:
    """Shows a folder until q or Ctrl-C, or once; returns 0, or 2 where there is nothing to show."""
    parser = Parser("python -m benchmarks.top", description=f"{(__doc__ or '').partition(':')[0]}.")
    parser.add_argument("runs", type=Path, metavar="RUNS", nargs="?", default=Path("runs"), help="(runs)")
    parser.add_argument("--once", action="store_true", help="print it and stop, as off a terminal")
    args = parser.parse_args(argv)
    look = _looking(args.runs)
    if look is None:
        expected = "expected cells/, records/ or log.jsonl in it"
        print(f"error: {args.runs}: nothing runs or ran there; {expected}", file=sys.stderr)
        return 2
    if args.once or not (sys.stdout.isatty() and sys.stdin.isatty()):
        print("\n".join(lines(look(), None)))
        return 0
    return _live(look, str(args.runs))


def _looking(runs: Path) -> Look | None:
    """How the folder is read: a grid's or a pre-training's; None where it is neither."""
    from benchmarks.launch.standing import Grid

    if (runs / "cells").is_dir() or (runs / "records").is_dir():
        return Grid(runs).look
    if (runs / "log.jsonl").is_file():
        return lambda: [_pretraining(runs)]
    return None


def _pretraining(folder: Path) -> Standing:
    """The standing of a pre-training: its log tells neither length nor end, but how long it is still."""
    from benchmarks.launch.standing import RUNNING, STOPPED, Standing, tail
    from transfer.process.progress import clock

    log = folder / "log.jsonl"
    entries = [entry for entry in tail(log) if "loss" in entry]
    silent = time.time() - log.stat().st_mtime
    state, says = RUNNING, f"{entries[-1].get('images_per_s', 0):.0f} images/s" if entries else ""
    if silent > SILENT_S:
        state, says = STOPPED, f"finished or stopped: no line in its log for {clock(silent)}"
    last = entries[-1] if entries else {"iteration": 0}
    return Standing(
        f"pre-training {folder.name}", state, last["iteration"], None, last.get("loss"), None, says
    )


def lines(cells: Sequence[Standing], height: int | None) -> list[str]:
    """The snapshot as plain text: counts, then what runs, failed, stopped, is finished and waits.

    `height`: lines of the screen; None: all that runs, failed or stopped is shown.
    """
    from benchmarks.launch.standing import FAILED, FINISHED, RUNNING, STOPPED, WAITING

    states = (RUNNING, FAILED, STOPPED, FINISHED, WAITING)
    groups = {state: [cell for cell in cells if cell.state == state] for state in states}
    counts = ", ".join(f"{len(of)} {state}" for state, of in groups.items() if of)
    wide = min(WIDE, max((len(cell.title) for cell in cells), default=0))
    told = [f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}: {counts or 'none yet'}"]
    room = max(SHOWN, (height - 12) // 2) if height else None
    for state, of in groups.items():
        most = SHOWN if state in (FINISHED, WAITING) else room
        shown = of if most is None else of[:most]
        told += [_line(cell, wide) for cell in shown]
        if len(of) > len(shown):
            told.append(f"  {state:<9} and {len(of) - len(shown)} more")
    return told


def _line(cell: Standing, wide: int) -> str:
    from transfer.process.progress import clock

    title = visible(cell.title)
    text = f"  {cell.state:<9} {title if len(title) <= wide else title[: wide - 3] + '...':<{wide}}"
    if cell.done:
        share = f"/{cell.total} ({100 * cell.done // cell.total} %)" if cell.total else ""
        text += f"  {cell.done}{share}"
    if cell.loss is not None:
        text += f"  loss {cell.loss:.3f}"
    if cell.left_s is not None:
        text += f"  eta {clock(cell.left_s)}"
    return f"{text}  {visible(cell.says)}".rstrip()


def _live(look: Look, name: str) -> int:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    head = f"{visible(name)}  (q ends this view; what runs goes on)"
    live = Live(console=console, screen=True, auto_refresh=False)
    with contextlib.suppress(KeyboardInterrupt), _keys() as pressed, live as screen:
        key = ""
        while key not in ("q", "Q"):
            told = "\n".join([head, *lines(look(), console.size.height)])
            screen.update(Text(told, no_wrap=True, overflow="ellipsis"), refresh=True)
            key = pressed(EVERY_S)
    return 0


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Waits for a key without Enter; the terminal is as before behind it, however it ends."""
    import termios
    import tty

    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)

    def pressed(seconds: float) -> str:
        # not sys.stdin.read: its buffer would hide what is typed next from select
        return (
            os.read(stdin, 1).decode(errors="replace") if select.select([stdin], [], [], seconds)[0] else ""
        )

    try:
        tty.setcbreak(stdin)
        yield pressed
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)


if __name__ == "__main__":
    sys.exit(command(main))
