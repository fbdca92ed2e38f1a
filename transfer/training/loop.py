"""Trains a model: one plain SGD loop for both engines, resumable.

Nothing random is carried from one iteration to the next: the batch is a function of (seed, iteration), and
torch's generator is seeded anew in each (`transfer.process.draws`). So weights, optimizer, float16's scaler
and one integer are the whole state, and a run that was killed continues as if it had not been. It does so to
the bit on a CPU with as many threads, and on a GPU with `transfer.process.deterministic`. Without it, its
order of batches and augmentation is the same, but some gradients are added up in no fixed order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from yacs.config import CfgNode

from transfer.process.progress import progress
from transfer.process.signals import collected
from transfer.samples.sample import Sample
from transfer.training.learner import Learner
from transfer.training.saver import Saver
from transfer.training.watcher import Watcher

# This process's batches from an iteration on, one for each micro-step, without end.
Batches = Callable[[int], Iterator[list[Sample]]]


def train(cfg: CfgNode, learner: Learner, batches: Batches, saver: Saver, watch: Watcher) -> float:
    """Trains to SOLVER.MAX_ITER from the saver's newest checkpoint; returns the seconds of all parts.

    Raises Interrupted after a signal and FloatingPointError when training diverges, both on all processes
    alike and with the last good checkpoint on disk; TransferError for unusable data and too little memory.
    """
    last, period = cfg.SOLVER.MAX_ITER, cfg.SOLVER.CHECKPOINT_PERIOD
    start = saver.resume(last)
    data = batches(start)
    parts = list(islice(data, learner.micro_steps)) if start < last else []
    watch.first_input(parts, start)
    with progress("train", last, start, quiet=not saver.main) as advance, collected() as signals:
        for iteration in range(start, last):
            with watch.computing(iteration):
                losses = learner.gradients(iteration, parts)
            done = iteration + 1
            # The next input is looked at now, so that one agreement a step serves both.
            parts = list(islice(data, learner.micro_steps)) if done < last else []
            step = watch.step(iteration, losses, parts, bool(signals))
            rate = learner.update()
            advance(f"loss {step.total:.3f}")
            if iteration % saver.log_period == 0 or done == last:
                saver.log(iteration, step.total, rate, step.losses)
            if step.ends_the_run or done % period == 0 or done == last:
                watch.weights(iteration)
                saver.save(done)
            if step.ends_the_run:
                watch.leave(step, done, last, signals)
    return saver.seconds
