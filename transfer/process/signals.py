"""Catches the signals that ask a run to stop: collects them for a loop, or passes them on to other processes.

Python lets only the main thread set handlers. In any other thread both helpers yield an empty list.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@contextmanager
def collected() -> Iterator[list[int]]:
    """Yields the list of the stop signals received, which grows while the block runs and ends nothing."""
    with forwarded(lambda number: None) as received:
        yield received


@contextmanager
def forwarded(to: Callable[[int], object]) -> Iterator[list[int]]:
    """Calls `to(number)` for every stop signal of the block; yields the list of those received.

    Whoever had the signals before has them again after the block.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def handle(number: int, _: object) -> None:
        received.append(number)
        to(number)

    previous = {number: signal.signal(number, handle) for number in STOPS}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
