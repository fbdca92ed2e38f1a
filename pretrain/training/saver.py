"""Saves a run every N minutes, every N iterations and on request; only the first process writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.errors import PretrainError
from pretrain.process import distributed
from pretrain.training import checkpoint

if TYPE_CHECKING:
    from torch import nn


class Saver:
    """Saves the run to its folder; refuses to replace a good checkpoint by one whose loss is not finite."""

    def __init__(
        self,
        directory: Path,
        contents: Callable[[int], dict[str, Any]],
        finite: Callable[[], bool],
        *,
        keep: int,
        minutes: float,
        iterations: int | None = None,
    ) -> None:
        """`contents(iteration)` makes the checkpoint; `finite()` says whether the loss still is a number."""
        self._directory, self._contents, self._keep = directory, contents, keep
        self._seconds, self._iterations, self._finite = 60 * minutes, iterations, finite
        self._saved_at = time.monotonic()

    def due(self, iteration: int) -> bool:
        by_iterations = self._iterations is not None and iteration % self._iterations == 0
        return by_iterations or time.monotonic() - self._saved_at > self._seconds

    def save(self, iteration: int) -> None:
        """Raises PretrainError where the loss is not finite or the file cannot be written."""
        self._saved_at = time.monotonic()
        if not self._finite():
            raise PretrainError(
                f"the loss is not finite at iteration {iteration}; not saved, earlier checkpoints are good"
            )
        if distributed.rank() == 0:
            checkpoint.save(self._contents(iteration), self._directory, iteration, self._keep)


def save_bare(directory: Path, arch: str, encoder: nn.Module) -> None:
    """Writes a finished run's encoder alone as ARCH.pth, by torchvision's names.

    Raises PretrainError where the file cannot be written.
    """
    import torch
    from boltons.fileutils import atomic_save

    path = directory / f"{arch}.pth"
    state = {name: value.cpu().contiguous() for name, value in encoder.state_dict().items()}
    try:
        with atomic_save(str(path), overwrite_part=True) as file:
            torch.save(state, file)
    except (OSError, RuntimeError) as error:
        raise PretrainError(f"{path}: cannot be written ({error}); the checkpoints are intact") from None


def tell_end(directory: Path, done: int, total: int) -> None:
    """Names the file that a run leaves after `done` of `total` iterations."""
    if not done:
        print("stopped before the first iteration, nothing to save; run again to begin", flush=True)
        return
    ended = "finished" if done >= total else f"stopped at iteration {done} of {total}; run again to go on"
    print(f"{ended}: {directory / checkpoint.LAST}", flush=True)
