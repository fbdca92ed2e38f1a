"""Makes a run deterministic on request: a GPU then repeats it to the bit, or an operator refuses to.

A CPU repeats itself anyway, with as many threads. On a GPU the backward passes of RoIAlign, of bilinear
upsampling and of some convolutions add up in no fixed order; their deterministic forms cost time and memory,
and a few operators have none: torch then stops the run instead of computing it differently.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from transfer.errors import TransferError

SWITCH = "--deterministic"


def ask_for_deterministic() -> None:
    """Asks torch for deterministic algorithms in this process, before CUDA is first used."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS needs a fixed workspace
    import torch

    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


@contextmanager
def refusal_named() -> Iterator[None]:
    """Turns torch's refusal of an operator into one line that names it."""
    try:
        yield
    except RuntimeError as error:
        found = re.search(r"^(\S+) does not have a deterministic implementation", str(error))
        if found is None:
            raise
        raise TransferError(
            f"{SWITCH}: {found[1]} has no deterministic form on this device; leave the switch out, "
            "or run this suite on a CPU"
        ) from None
