"""Puts a pre-training run together from its options: data, method, schedule, resume, loop, checkpoints."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from converters.trackers import Run, Tracker, TrackerError, Trackers
from pretrain.errors import PretrainError, warn
from pretrain.images.decode import Pixels
from pretrain.images.draws import Views
from pretrain.images.loader import Loading, batches
from pretrain.images.sources import ImageSet, find_images
from pretrain.methods.base import Method
from pretrain.methods.choose import method_class
from pretrain.methods.joint.published import Published
from pretrain.monitors.choose import collapse_every, monitors_of
from pretrain.networks.encoders import make_encoder_factory
from pretrain.optimizers.build import build
from pretrain.options import default_workers
from pretrain.process import distributed
from pretrain.process.progress import Reporter, is_logged, trim_log
from pretrain.process.signals import STOP, Signals
from pretrain.training.identity import identity_of
from pretrain.training.loop import callable_of, train
from pretrain.training.precision import choose_precision
from pretrain.training.refusals import (
    bn_groups,
    length_of,
    make_directory,
    require_a_batch,
    require_network,
    require_patches,
)
from pretrain.training.run_options import RunOptions
from pretrain.training.saver import Saver, save_bare, tell_end
from pretrain.training.schedule import choose_schedule
from pretrain.training.start import Start, put_in_place, read_start
from pretrain.training.state import RunState
from pretrain.training.totals import Totals
from pretrain.training.updates import Updates
from pretrain.training.watcher import Watcher


@dataclass(frozen=True)
class Plan:
    """A run before anything of it is built: its options, and what follows from them and the images."""

    options: RunOptions
    kind: type[Method]
    images: ImageSet
    groups: int  # of BatchNorm, in all processes together
    per_epoch: int  # iterations
    total: int  # iterations
    views: tuple[Views, ...]
    workers: int
    start: Start | None  # the weights that the run starts from, else fresh ones


def run(options: RunOptions) -> int:
    """Trains to the end or to a signal; returns the exit code. Raises PretrainError on bad input."""
    plan = planned(options)
    make_directory(options.output)
    use_deterministic(options.deterministic)
    device = distributed.start(options.device, patient=bool(options.knn_every))
    signals = Signals()
    try:
        code = _run(plan, device, signals)
    except BaseException as error:
        distributed.failed(error)
        raise
    finally:
        signals.restore()
    distributed.stop()
    return code


def planned(options: RunOptions) -> Plan:
    """Finds the images, and refuses options that fit neither them nor one another."""
    require_network(options.arch, options.mechanism, options.method, options.small_images)
    images = find_images(options.data)
    kind = method_class(options.mechanism)
    groups = bn_groups(options.bn_groups, options.batch_size, splits_batch=kind.splits(options.method))
    require_a_batch(len(images), options.batch_size, groups)
    collapse_every(options)
    views = kind.views(options.method, options.image_size)
    require_patches(options.arch, options.image_size, views, options.method)
    kind.check(options.method, images, options.batch_size, groups)
    per_epoch = len(images) // options.batch_size
    return Plan(
        options=options,
        kind=kind,
        images=images,
        groups=groups,
        per_epoch=per_epoch,
        total=length_of(options.max_iters, options.epochs, per_epoch),
        views=views,
        workers=options.workers or default_workers(),
        start=read_start(options.start_from) if options.start_from else None,
    )


def use_deterministic(wanted: bool) -> None:
    """Makes equal runs leave equal bits on a GPU too, or torch refuse. To be called before CUDA starts."""
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read once, by the first cuBLAS handle
    torch.use_deterministic_algorithms(wanted)


def _run(plan: Plan, device: torch.device, signals: Signals) -> int:
    """Builds the run, goes on where its newest checkpoint stands, and trains; returns the exit code."""
    options, total = plan.options, plan.total
    first_process = distributed.rank() == 0
    precision = choose_precision(options.precision, device)
    method = _method(plan, device)
    updates = _updates(plan, method, device, precision)
    totals = Totals(device, method.figures)
    start_from = plan.start.sha256 if plan.start else None
    identity = identity_of(options, plan.images, plan.groups, plan.views, start_from)
    layout = options.method.layout if isinstance(options.method, Published) else None
    state = RunState(
        method, updates.optimizer, updates.scaler, totals, options.arch, identity, plan.per_epoch, layout
    )
    first = state.resume(options.output, options.resume)
    begun = _beginning(plan, method, first)
    if first_process:
        trim_log(options.output, first)
    reporter = _reporter(plan, first, identity)
    reporter.say(_headline(plan, precision, device) + begun)
    watcher = Watcher(
        totals=totals,
        report=reporter.step,
        print_every=options.print_freq,
        saver=_saver(options, state),
        signals=signals,
        device=device,
        advice="the last checkpoint is from before; lower --lr or use --precision fp32",
        rate=updates.schedules[0],
        monitors=monitors_of(options, plan.per_epoch, plan.workers, device, method, reporter, signals),
    )
    pixels = Pixels(plan.images, options.cache_mb << 20, options.max_corrupt)
    stream = batches(
        pixels,
        plan.views,
        seed=options.seed,
        batch_size=options.batch_size,
        first=first,
        last=total,
        loading=_loading(plan, device),
    )
    try:
        if first_process and not is_logged(options.output, first, "knn"):
            watcher.measure(first)
        if distributed.any_process(signals.request, device) == STOP:
            done = first
        else:
            forward = callable_of(method, device, options.compile)
            iterations = range(first, total)
            done = train(method, forward, stream, updates, watcher, iterations, options.seed, plan.per_epoch)
    finally:
        stream.close()
        reporter.close()
    if first_process:
        pixels.warn_of_corrupt()
        if layout and layout.bare and done >= total:
            save_bare(options.output, options.arch, method.encoder)
        tell_end(options.output, done, total)
    return 0 if done >= total else 128 + (signals.number or signal.SIGTERM)


def _method(plan: Plan, device: torch.device) -> Method:
    """The method on `device`, freshly initialised from the seed."""
    options = plan.options
    torch.manual_seed(options.seed)
    make_encoder = partial(
        make_encoder_factory,
        options.arch,
        bn_groups=plan.groups // distributed.world_size(),
        small_images=options.small_images,
        image_size=options.image_size,
    )
    method = plan.kind.build(options.method, make_encoder, plan.images).to(device)
    return method.to(memory_format=torch.channels_last)


def _updates(plan: Plan, method: Method, device: torch.device, precision: str) -> Updates:
    """The optimizer of a row of the frame, else SGD of all parameters, as published.

    A key encoder's never get a gradient, so SGD leaves them alone.
    """
    options = plan.options
    if isinstance(options.method, Published):
        named = [(name, p) for name, p in method.named_parameters() if p.requires_grad]
        sizes = {"batch_size": options.batch_size, "per_epoch": plan.per_epoch, "total": plan.total}
        built = build(options.method.optimizer, named, **sizes)
        more: dict[str, Any] = {"decays": built.decays, "clip": built.clip, "resting": built.resting}
        return Updates(built.optimizer, built.rates, device, precision, **more)
    sgd = torch.optim.SGD(
        method.parameters(), options.lr, momentum=options.momentum, weight_decay=options.wd, fused=True
    )
    return Updates(sgd, [_schedule(plan)], device, precision)


def _schedule(plan: Plan) -> Callable[[int], float]:
    options = plan.options
    return choose_schedule(
        options.lr,
        total=plan.total,
        per_epoch=plan.per_epoch,
        cosine=options.cos,
        by_epoch=not options.max_iters,
        milestones=options.schedule,
        decay=options.lr_decay,
        decay_every=options.lr_decay_every,
    )


def _reporter(plan: Plan, first: int, identity: dict[str, Any]) -> Reporter:
    options, quiet = plan.options, distributed.rank() > 0
    return Reporter(
        options.output,
        first=first,
        total=plan.total,
        batch_size=options.batch_size,
        trackers=() if quiet else _trackers(options, identity),
        quiet=quiet,
    )


def _trackers(options: RunOptions, identity: dict[str, Any]) -> list[Tracker]:
    """Begins the run in the trackers, under the name of its folder; the one around it is the project."""
    place = options.output.resolve()
    run = Run(options.output, place.parent.name or "pretrain", place.name, identity)
    try:
        return Trackers(options.tensorboard, options.tracker).begin(run, warn)
    except TrackerError as error:
        raise PretrainError(str(error)) from None


def _beginning(plan: Plan, method: Method, first: int) -> str:
    """Puts the weights in place that a new run starts from; returns the headline's words about it."""
    if first:
        return f", going on from iteration {first}"
    if plan.start is None:
        return ""
    head = put_in_place(plan.start, method)
    return f", starting from {plan.start.path} (sha256 {plan.start.sha256[:12]}), {head}"


def _headline(plan: Plan, precision: str, device: torch.device) -> str:
    options = plan.options
    return (
        f"{len(plan.images)} images, {options.arch}, {options.mechanism}, {plan.groups} BatchNorm groups, "
        f"{precision} on {device}" + ", deterministic" * options.deterministic
    )


def _loading(plan: Plan, device: torch.device) -> Loading:
    where = plan.options.augment_on
    on_host = where == "host" or (where == "auto" and device.type == "cpu")
    return Loading(plan.workers, colour_on_host=on_host, pin=device.type == "cuda")


def _saver(options: RunOptions, state: RunState) -> Saver:
    return Saver(
        options.output,
        state.pack,
        state.totals.finite,
        keep=options.keep,
        minutes=options.save_minutes,
        iterations=options.save_iters,
    )
