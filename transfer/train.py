"""The training loop: one plain SGD loop for both engines, resumable to the bit.

Nothing random is carried from one iteration to the next: the batch is a function of (seed, iteration) and
torch's generator is seeded anew from (seed, iteration, rank). So weights, optimizer and one integer are the
whole state, and a run that was killed continues as if it had not been.
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from boltons.fileutils import atomic_save
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from yacs.config import CfgNode

from transfer.checkpoint import load_checkpoint, save_checkpoint
from transfer.distributed import World
from transfer.engines.base import Engine
from transfer.loader import Metadata, Record, training_batches
from transfer.progress import progress

LOG_PERIOD = 20  # iterations between two lines of log.jsonl, as in Detectron2


class Interrupted(Exception):
    """A signal asked the run to stop; its state is saved."""


def seed_iteration(seed: int, stream: int, iteration: int, rank: int) -> None:
    """Seeds torch for one step; `stream` keeps training (0) and statistics (1) apart."""
    torch.manual_seed(int(np.random.SeedSequence([seed, stream, iteration, rank]).generate_state(1)[0]))


def autocast(cfg: CfgNode, device: torch.device) -> Any:
    """bfloat16 where SOLVER.AMP.ENABLED says so; no gradient scaler is needed for it.

    Only training steps run in it; statistics and predictions are in single precision, as in Detectron2.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=cfg.SOLVER.AMP.ENABLED)


def train(
    engine: Engine,
    model: nn.Module,
    cfg: CfgNode,
    records: Sequence[Record],
    metadata: Metadata,
    directory: Path,
    seed: int,
    world: World,
) -> float:
    """Trains `model` to SOLVER.MAX_ITER from the newest checkpoint in `directory`; returns its seconds.

    Raises Interrupted after a signal and FloatingPointError when training diverges, both with the last good
    checkpoint on disk; TransferError for unusable data.
    """
    optimizer, scheduler = engine.solver(cfg, model)
    start, spent_s = _resume(engine, model, optimizer, scheduler, directory)
    began = time.monotonic() - spent_s  # the time of a run is that of all its parts
    log = _Log(directory / "log.jsonl", start) if world.main else None
    model.train()
    wrapped: nn.Module = model
    if world.size > 1:
        ids = [world.device.index] if world.device.type == "cuda" else None
        wrapped = DistributedDataParallel(model, device_ids=ids, broadcast_buffers=False)

    def save(iteration: int) -> None:
        if world.main:
            state: dict[str, Any] = {
                "model": engine.state(model),
                "optimizer": optimizer.state_dict(),
                "scheduler": scheduler.state_dict(),
                "time_s": time.monotonic() - began,
            }
            save_checkpoint(directory, iteration, state)

    data = training_batches(records, cfg, metadata, seed, start=start, rank=world.rank, world_size=world.size)
    last = cfg.SOLVER.MAX_ITER
    with progress("train", last, start, quiet=not world.main) as advance, _stop_signals() as stop:
        for iteration in range(start, last):
            seed_iteration(seed, 0, iteration, world.rank)
            with autocast(cfg, world.device):
                losses = engine.losses(wrapped, next(data))
            total = torch.stack([loss.float() for loss in losses.values()]).sum()
            value = float(total)
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"iteration {iteration}: {_culprits(losses)} not finite; lower SOLVER.BASE_LR"
                )
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            _check_gradients(model, iteration)
            lr = scheduler.get_last_lr()[0]
            optimizer.step()
            scheduler.step()
            advance(f"loss {value:.3f}")
            if log and (iteration % LOG_PERIOD == 0 or iteration + 1 == last):
                parts = {name: float(loss) for name, loss in losses.items()}
                time_s = time.monotonic() - began
                log.write({"iteration": iteration, "total_loss": value, "lr": lr, "time_s": time_s} | parts)
            done = iteration + 1
            if stop or done % cfg.SOLVER.CHECKPOINT_PERIOD == 0 or done == last:
                save(done)
            if stop:
                raise Interrupted(
                    f"signal {signal.Signals(stop[0]).name} after iteration {done} of {last}; state saved"
                )
    return time.monotonic() - began


def _resume(
    engine: Engine, model: nn.Module, optimizer: Any, scheduler: Any, directory: Path
) -> tuple[int, float]:
    """(finished iterations, seconds they took); everything is brought to that state."""
    loaded = load_checkpoint(directory)
    if loaded is None:
        return 0, 0.0
    engine.load_state(model, loaded.content["model"])
    optimizer.load_state_dict(loaded.content["optimizer"])
    scheduler.load_state_dict(loaded.content["scheduler"])
    return loaded.iteration, loaded.content["time_s"]


def _culprits(losses: dict[str, Tensor]) -> str:
    bad = [f"{name} = {float(loss)}" for name, loss in losses.items() if not torch.isfinite(loss)]
    return ", ".join(bad) or "the sum of the losses is"


def _check_gradients(model: nn.Module, iteration: int) -> None:
    """A finite loss can have a gradient that is not; it must not reach the weights."""
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    if torch.nn.utils.get_total_norm(list(gradients.values())).isfinite():
        return
    bad = next((name for name, g in gradients.items() if not g.isfinite().all()), "the total norm")
    raise FloatingPointError(f"iteration {iteration}: gradient of {bad} not finite; lower SOLVER.BASE_LR")


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collects stop signals, so that the loop ends behind a finished iteration."""
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    previous = {n: signal.signal(n, lambda number, _: received.append(number)) for n in numbers}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Log:
    """log.jsonl, cut back to what the resumed checkpoint knows, so that no iteration stands in it twice."""

    def __init__(self, path: Path, start: int):
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith("\n")]
        kept = [line for line in whole if json.loads(line)["iteration"] < start]
        with atomic_save(str(path), text_mode=True, overwrite_part=True) as file:
            file.writelines(kept)
        self.path = path

    def write(self, entry: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
