"""Chooses the monitors of a run from its options."""

from __future__ import annotations

from typing import Any

import torch

from pretrain.errors import PretrainError
from pretrain.images.labelled import labelled_pair
from pretrain.methods.base import Method
from pretrain.methods.joint.row import Row
from pretrain.monitors.collapse import CollapseMonitor
from pretrain.monitors.knn import KnnEvaluation, KnnMonitor
from pretrain.monitors.symptoms import Course, course_of
from pretrain.process import distributed
from pretrain.process.progress import LOG, Reporter
from pretrain.process.signals import Signals
from pretrain.training.run_options import RunOptions
from pretrain.training.watcher import Monitor

EVERY = 100  # iterations between the measures of collapse, where nothing is said


def monitors_of(
    options: RunOptions,
    per_epoch: int,
    workers: int,
    device: torch.device,
    method: Method[Any],
    reporter: Reporter,
    signals: Signals,
) -> list[Monitor]:
    """The kNN monitor where it is asked for, and that of collapse for the methods that can show one.

    Only the first process measures, and reads the log, which must end where the run goes on.
    """
    first = distributed.rank() == 0
    monitors: list[Monitor] = []
    if options.knn_every:
        evaluation = None
        if first:
            sets = labelled_pair(options.knn_data or options.data)
            evaluation = KnnEvaluation(sets, options.image_size, device, workers, options.cache_mb << 20)
        monitors.append(
            KnnMonitor(options.knn_every, per_epoch, method.encoder, evaluation, reporter, signals)
        )
    if every := collapse_every(options):
        course = course_of(options.output / LOG) if first else Course()
        monitors.append(
            CollapseMonitor(every, method, reporter if first else None, options.stop_on_collapse, course)
        )
    return monitors


def collapse_every(options: RunOptions) -> int:
    """Iterations between two measures of collapse; 0: none is made. Raises PretrainError for what cannot be.

    The methods of MoCo's paper leave no projections behind, and their negatives keep the images apart.
    """
    asked = options.monitor_every
    if not isinstance(options.method, Row):
        if asked or options.stop_on_collapse:
            given = "--monitor-every" if asked else "--stop-on-collapse"
            raise PretrainError(f"{given}: {options.mechanism} has no monitor of collapse; leave it out")
        return 0
    if options.stop_on_collapse and asked == 0:
        raise PretrainError("--stop-on-collapse needs the monitor; raise --monitor-every above 0")
    return EVERY if asked is None else asked
