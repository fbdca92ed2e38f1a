"""The training loop: one plain SGD loop for both engines, resumable.

Nothing random is carried from one iteration to the next: the batch is a function of (seed, iteration) and
torch's generator is seeded anew from (seed, iteration, rank). So weights, optimizer, float16's scaler and one
integer are the whole state, and a run that was killed continues as if it had not been: to the bit on a CPU
with as many threads, and on a GPU with `transfer.process.deterministic`. Without it, its order of batches and
augmentation is the same, but some gradients are added up in no fixed order.
"""

from __future__ import annotations

import json
import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from boltons.fileutils import atomic_save
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from yacs.config import CfgNode

from transfer.engines.base import Engine
from transfer.errors import Interrupted
from transfer.process.disk import writing
from transfer.process.distributed import World
from transfer.process.progress import progress
from transfer.samples.detection import Sample
from transfer.samples.loader import Metadata, Record, training_batches
from transfer.training import finite as gates
from transfer.training.checkpoint import load_checkpoint, save_checkpoint
from transfer.training.outcome import forget_metrics
from transfer.training.precision import Precision

LOG_PERIOD = 20  # iterations between two lines of log.jsonl, as in Detectron2


def seed_iteration(seed: int, stream: int, iteration: int, rank: int) -> None:
    """Seeds torch for one step; `stream` keeps training (0) and statistics (1) apart."""
    torch.manual_seed(int(np.random.SeedSequence([seed, stream, iteration, rank]).generate_state(1)[0]))


def train(
    engine: Engine,
    model: nn.Module,
    cfg: CfgNode,
    records: Sequence[Record],
    metadata: Metadata,
    directory: Path,
    seed: int,
    world: World,
    micro_steps: int = 1,
) -> float:
    """Trains `model` to SOLVER.MAX_ITER from the newest checkpoint in `directory`; returns its seconds.

    With `micro_steps` a process does the work of so many, one after the other (`transfer.recipes.scaling`).
    Raises Interrupted after a signal and FloatingPointError when training diverges, both on all processes
    alike and with the last good checkpoint on disk; TransferError for unusable data and too little memory.
    """
    optimizer, scheduler = engine.solver(cfg, model)
    precision = Precision(cfg, world.device)
    start, spent_s = _resume(engine, model, optimizer, scheduler, precision, directory)
    if world.main and start < cfg.SOLVER.MAX_ITER:
        forget_metrics(directory)  # of a training whose checkpoints are gone
    began = time.monotonic() - spent_s  # the time of a run is that of all its parts
    log = _Log(directory / "log.jsonl", start) if world.main else None
    model.train()
    wrapped: nn.Module = model
    if world.size > 1:
        ids = [world.device.index] if world.device.type == "cuda" else None
        with warnings.catch_warnings():  # the new name of broadcast_buffers is not in every torch of ours
            warnings.simplefilter("ignore", FutureWarning)
            wrapped = DistributedDataParallel(model, device_ids=ids, broadcast_buffers=False)

    def save(iteration: int) -> None:
        gates.refuse_weights(model, iteration - 1, world.size)
        if world.main:
            state: dict[str, Any] = {
                "model": engine.state(model),
                "optimizer": optimizer.state_dict(),
                "scheduler": scheduler.state_dict(),
                "scaler": precision.state(),
                "time_s": time.monotonic() - began,
            }
            save_checkpoint(directory, iteration, state)

    def backward(iteration: int, batches: Sequence[Sequence[Sample]]) -> dict[str, Tensor]:
        """Gradients of the mean over all micro-steps of all processes; returns this process's mean losses."""
        optimizer.zero_grad(set_to_none=True)
        means: dict[str, Tensor] = {}
        for micro, batch in enumerate(batches):
            seed_iteration(seed, 0, iteration, micro * world.size + world.rank)
            alone = micro + 1 < len(batches) and isinstance(wrapped, DistributedDataParallel)
            with wrapped.no_sync() if alone else nullcontext():  # type: ignore[operator]
                with precision.autocast():
                    losses = engine.losses(wrapped, batch)
                parts = {name: loss.float() / len(batches) for name, loss in losses.items()}
                precision.backward(torch.stack(list(parts.values())).sum())
            means = {name: means.get(name, 0) + part.detach() for name, part in parts.items()}
        precision.unscale(optimizer)
        return means

    data = training_batches(
        records,
        cfg,
        metadata,
        seed,
        start=start,
        rank=world.rank,
        world_size=world.size,
        micro_steps=micro_steps,
    )
    last = cfg.SOLVER.MAX_ITER
    batches = list(islice(data, micro_steps)) if start < last else []
    gates.agree_on_input(gates.bad_input(chain(*batches)), start, world.size)
    with progress("train", last, start, quiet=not world.main) as advance, _stop_signals() as stop:
        for iteration in range(start, last):
            weights = gates.weights_norm(model, world.device)
            try:
                with gates.memory_advice(f"iteration {iteration}", "INPUT.MIN_SIZE_TRAIN"):
                    losses = backward(iteration, batches)
            except FloatingPointError as error:  # a proposal network found its predictions broken
                gates.refuse_weights(model, iteration, world_size=1)  # others may be in a collective
                raise FloatingPointError(f"iteration {iteration}: {error}; {gates.ADVICE}") from None
            done = iteration + 1
            # The next input is looked at now, so that one agreement a step serves both.
            batches = list(islice(data, micro_steps)) if done < last else []
            bad = gates.bad_input(chain(*batches))
            gradient = gates.gradients_norm(model, world.device)
            step = gates.look(losses, gradient, weights, bool(bad), bool(stop), world.size)
            if not (step.good or (step.good_but_for_gradient and precision.overflowed(step.gradient))):
                gates.refuse(step, iteration, model, losses, world.size)
            lr = scheduler.get_last_lr()[0]
            precision.step(optimizer)
            scheduler.step()
            advance(f"loss {step.total:.3f}")
            if log and (iteration % LOG_PERIOD == 0 or done == last):
                time_s = time.monotonic() - began
                entry = {"iteration": iteration, "total_loss": step.total, "lr": lr, "time_s": time_s}
                log.write(entry | step.losses)
            if step.stop or step.bad_input or done % cfg.SOLVER.CHECKPOINT_PERIOD == 0 or done == last:
                save(done)
            if step.stop:
                if world.size > 1:
                    dist.barrier()  # who leaves first would take the saving process along
                name = signal.Signals(stop[0]).name if stop else "to another process"
                raise Interrupted(f"signal {name} after iteration {done} of {last}; state saved")
            if step.bad_input:
                gates.agree_on_input(bad, done, world.size)
    return time.monotonic() - began


def _resume(
    engine: Engine, model: nn.Module, optimizer: Any, scheduler: Any, precision: Precision, directory: Path
) -> tuple[int, float]:
    """(finished iterations, seconds they took); everything is brought to that state."""
    loaded = load_checkpoint(directory)
    if loaded is None:
        return 0, 0.0
    engine.load_state(model, loaded.content["model"])
    optimizer.load_state_dict(loaded.content["optimizer"])
    scheduler.load_state_dict(loaded.content["scheduler"])
    precision.load(loaded.content["scaler"])
    return loaded.iteration, loaded.content["time_s"]


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
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
