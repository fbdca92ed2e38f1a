"""Shows on standard error that a data set is being read, where that is not quick."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from transfer.datasets.findings import Findings

QUICK_S = 2.0  # nothing is shown on a terminal for reading that takes no longer
BEAT_S = 5.0  # between lines, where there is no terminal


@contextmanager
def waiting(what: str, findings: Findings | None = None) -> Iterator[None]:
    """Shows `what` and its seconds: a moving line on a terminal, a line every few seconds elsewhere.

    findings: of the check that is waited for; with them it also shows how far the images are, how many files
        are wrong, and how long it still takes. Of torchrun's processes only the first one shows anything.
    """
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    done, start = threading.Event(), time.monotonic()
    images_from: list[float] = []

    def line() -> str:
        now = time.monotonic()
        if findings and findings.to_open and not images_from:
            images_from.append(now)
        return progress_line(what, now - start, now - images_from[0] if images_from else 0.0, findings)

    def beat() -> None:
        if not sys.stderr.isatty():
            while not done.wait(BEAT_S):
                print(line(), file=sys.stderr, flush=True)
            return
        if done.wait(QUICK_S):
            return
        from rich.console import Console

        with Console(stderr=True).status(what) as status:
            while not done.wait(0.2):
                status.update(line())

    thread = threading.Thread(target=beat, name=what, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def progress_line(what: str, seconds: float, on_images: float, findings: Findings | None) -> str:
    """`what: 40 s, image 30 of 90, 2 files missing or broken, about 24 s left`, as far as it is known.

    seconds: since the start. on_images: those of them since images were first seen to be opened.
    """
    parts = [f"{what}: {seconds:.0f} s"]
    if findings and findings.to_open:
        parts.append(f"image {findings.opened} of {findings.to_open}")
    if findings and (wrong := findings.errors["missing-image"] + findings.errors["bad-image"]):
        parts.append(f"{wrong} files missing or broken")
    if findings and findings.opened and on_images:
        left = on_images / findings.opened * (findings.to_open - findings.opened)
        parts.append(f"about {left:.0f} s left")
    return ", ".join(parts)
