"""Defines the error of this package, prints warnings and errors, and words foreign errors in one line."""

from __future__ import annotations

import os
import sys

from converters.options import visible


class PretrainError(ValueError):
    """Says in one line what was wrong, what was expected and what to do next; a command exits with 2."""


def warn(text: str) -> None:
    """Prints one warning line; of several processes only the first does."""
    if os.environ.get("RANK", "0") == "0":
        print(f"warning: {visible(text)}", flush=True)


def complain(text: str) -> None:
    """Prints one error line on stderr, in one piece, so that lines of several processes do not mix."""
    sys.stderr.write(f"error: {visible(text)}\n")
    sys.stderr.flush()


# What torch says where memory is short, besides its OutOfMemoryError: cuBLAS, cuDNN, the CPU allocator.
_MEMORY = ("out of memory", "STATUS_ALLOC_FAILED", "can't allocate memory", "not enough memory")


def line_of(error: BaseException, memory_advice: str) -> str | None:
    """Returns the one line for an error that is no fault of the program; None for the rest."""
    if isinstance(error, PretrainError):
        return str(error)
    if isinstance(error, PermissionError):  # a locked folder does not even say whether it has a train/
        return f"{error.filename}: {error.strerror}; check its permissions"
    text = str(error)
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in text for words in _MEMORY)
    ):
        detail = " ".join(text.split("If reserved but")[0].split())[:200] or "the machine refused more"
        return f"out of memory ({detail.rstrip('. ')}); {memory_advice}"
    if "does not have a deterministic implementation" in text:
        return f"{text.split(', but')[0]}; run without --deterministic"
    if isinstance(error, OSError) and error.errno in (28, 122):  # ENOSPC, EDQUOT
        return f"{error.filename or 'output'}: {error.strerror}; free some space and run the command again"
    return None
