"""Runs the contestants of a comparison, each in a process of its own.

They are asked in turns, so that a busy machine slows all alike. They share no process, for what one does to
its memory must not help or hinder another.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class Contestant:
    """A process that holds the function `make(*arguments)`; a call is a call of that function over there.

    An error over there is a RuntimeError here, with the same words. It ends with its parent, or at `close`.
    """

    def __init__(self, make: Callable[..., Callable[..., Any]], *arguments: Any):
        context = multiprocessing.get_context("forkserver")  # which can import once for all
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, make, arguments), daemon=True)
        self._process.start()
        other.close()
        self._answer()

    def __call__(self, *request: Any) -> Any:
        self._pipe.send(request)
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        self._pipe.close()
        self._process.join()

    def _answer(self) -> Any:
        try:
            answer, error = self._pipe.recv()
        except EOFError:
            raise RuntimeError("the process was killed (out of memory?)") from None
        if error is not None:
            raise RuntimeError(error)
        return answer


def _serve(pipe: Connection, make: Callable[..., Callable[..., Any]], arguments: tuple[Any, ...]) -> None:
    function: Callable[..., Any] = make
    request = arguments
    while True:
        try:
            answer, error = function(*request), None
        except Exception as caught:  # it is told where it was asked for
            answer, error = None, str(caught).strip().split("\n", 1)[0] or type(caught).__name__
        if function is make and error is None:
            function, answer = answer, None
        pipe.send((answer, error))
        try:
            request = pipe.recv()
        except EOFError:
            return
