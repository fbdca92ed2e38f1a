"""One pre-training run put together from its options: data, model, schedule, resume, loop, checkpoints."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path
from typing import Any

import torch

from pretrain.cli import MOST_ITERATIONS, default_workers
from pretrain.errors import PretrainError, warn
from pretrain.images.decode import Pixels
from pretrain.images.draws import RECIPES
from pretrain.images.loader import batches
from pretrain.images.sources import ImageSet, find_images
from pretrain.knn import KnnMonitor, labelled_pair
from pretrain.methods.mechanisms import make_model
from pretrain.networks.encoders import make_encoder_factory
from pretrain.process import distributed
from pretrain.process.progress import Reporter, is_logged, trim_log
from pretrain.process.signals import STOP, Signals, Stopped
from pretrain.training import checkpoint, state
from pretrain.training.checks import bn_groups, check_sizes, identity_of, make_directory
from pretrain.training.loop import Totals, choose_precision, prepared, train
from pretrain.training.saver import Saver
from pretrain.training.schedule import choose_schedule


def run(args: argparse.Namespace) -> int:
    """Trains to the end or to a signal; returns the exit code. Options are taken apart here only."""
    images = find_images(args.data)
    groups = bn_groups(args.bn_groups, args.batch_size, args.mechanism, shuffle=not args.no_shuffle_bn)
    check_sizes(len(images), args.batch_size, args.moco_k, groups, args.mechanism)
    per_epoch = len(images) // args.batch_size
    total = length_of(args.max_iters, args.epochs, per_epoch)
    make_directory(args.output)
    use_deterministic(args.deterministic)
    device = distributed.start(args.device, patient=bool(args.knn_every))
    signals = Signals()
    try:
        code = _run(args, images, groups, per_epoch, total, device, signals)
    except BaseException as error:
        distributed.failed(error)
        raise
    finally:
        signals.restore()
    distributed.stop()
    return code


def use_deterministic(wanted: bool) -> None:
    """Equal bits from equal runs on a GPU too, or a refusal of torch. To be called before CUDA starts."""
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read once, by the first cuBLAS handle
    torch.use_deterministic_algorithms(wanted)


def _model_and_optimizer(
    args: argparse.Namespace, groups: int, num_images: int, device: torch.device
) -> tuple[Any, torch.optim.Optimizer]:
    """Freshly initialised from the seed."""
    torch.manual_seed(args.seed)
    make_encoder = make_encoder_factory(
        args.arch,
        dim=args.moco_dim,
        bn_groups=groups // distributed.world_size(),
        small_images=args.small_images,
    )
    model = make_model(
        args.mechanism,
        make_encoder,
        dim=args.moco_dim,
        K=args.moco_k,
        m=args.moco_m,
        T=args.moco_t,
        mlp=args.mlp,
        shuffle=not args.no_shuffle_bn,
        num_images=num_images,
        bank_momentum=args.bank_m,
    ).to(device)
    model.to(memory_format=torch.channels_last)
    # All parameters, as published: the key encoder's never get a gradient, so SGD leaves them alone.
    optimizer = torch.optim.SGD(
        model.parameters(), args.lr, momentum=args.momentum, weight_decay=args.wd, fused=True
    )
    return model, optimizer


def _run(
    args: argparse.Namespace,
    images: ImageSet,
    groups: int,
    per_epoch: int,
    total: int,
    device: torch.device,
    signals: Signals,
) -> int:
    recipe_name = "v2" if args.aug_plus else "v1"
    workers = args.workers or default_workers()
    precision = choose_precision(args.precision, device)
    identity = identity_of(args, images, groups, recipe_name)
    rate = choose_schedule(
        args.lr,
        total=total,
        per_epoch=per_epoch,
        cosine=args.cos,
        by_epoch=not args.max_iters,
        milestones=args.schedule,
        decay=args.lr_decay,
        decay_every=args.lr_decay_every,
    )
    model, optimizer = _model_and_optimizer(args, groups, len(images), device)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
    totals = Totals(device)

    quiet = distributed.rank() > 0
    contents = find_checkpoint(args.output, args.resume)
    first = 0
    if contents:
        source = contents[0]
        state.require_same_run(contents[1]["identity"], identity, source)
        state.unpack(contents[1], model, optimizer, source)
        with state.fitting(source, "running means or loss scale"):
            scaler.load_state_dict(contents[1]["scaler"] or scaler.state_dict())
            totals.load(contents[1]["totals"])
        first = state.iteration_of(contents[1], per_epoch)
    if not quiet:
        trim_log(args.output, first)
    reporter = Reporter(
        args.output,
        first=first,
        total=total,
        batch_size=args.batch_size,
        tensorboard=args.tensorboard,
        quiet=quiet,
    )
    reporter.say(
        f"{len(images)} images, {args.arch}, {args.mechanism}, {groups} BatchNorm groups, "
        f"{precision} on {device}"
        + ", deterministic" * args.deterministic
        + (f", going on from iteration {first}" if first else "")
    )
    pixels = Pixels(images, args.cache_mb << 20, args.max_corrupt)
    saver = Saver(
        directory=args.output,
        contents=lambda done: state.pack(
            model,
            optimizer,
            arch=args.arch,
            iteration=done,
            per_epoch=per_epoch,
            identity=identity,
            totals=totals.values,
            scaler=scaler.state_dict(),
        ),
        keep=args.keep,
        minutes=args.save_minutes,
        iterations=args.save_iters,
        finite=totals.finite,
    )
    monitor = None
    if args.knn_every and not quiet:  # the other processes wait at their next exchange
        sets = labelled_pair(args.knn_data or args.data)
        monitor = KnnMonitor(sets, args.image_size, device, workers, args.cache_mb << 20)
    augmented = args.augment_on == "host" or (args.augment_on == "auto" and device.type == "cpu")
    stream = batches(
        pixels,
        RECIPES[recipe_name],
        seed=args.seed,
        batch_size=args.batch_size,
        image_size=args.image_size,
        first=first,
        last=total,
        workers=workers,
        augment_on_host=augmented,
        pin=device.type == "cuda",
        views=1 if args.mechanism == "memory_bank" else 2,
    )

    def knn_is_due(done: int) -> bool:
        return bool(args.knn_every) and done % (args.knn_every * per_epoch) == 0

    def measure_knn(done: int) -> None:
        if monitor is not None and knn_is_due(done):
            say_knn(monitor, model.encoder_q, reporter, signals, done // per_epoch, done)

    def after_step(done: int) -> bool:
        measure_knn(done)  # before the save, so that no resume loses it
        # All must stop at the same iteration; to ask at each would cost a wait. At a kNN they wait anyway.
        asked = distributed.world_size() == 1 or done % args.print_freq == 0 or knn_is_due(done)
        request = distributed.any_process(signals.take(), device) if asked else 0
        if done == total or request or saver.due(done):
            saver.save(done)
        return request == STOP

    try:
        if not quiet and not is_logged(args.output, first, "knn"):
            measure_knn(first)
        if distributed.any_process(signals.request, device) == STOP:
            done = first
        else:
            done = train(
                prepared(model, device, args.compile),
                optimizer,
                stream,
                first=first,
                last=total,
                seed=args.seed,
                device=device,
                learning_rate=rate,
                colour_steps=RECIPES[recipe_name].steps,
                augmented=augmented,
                precision=precision,
                scaler=scaler,
                totals=totals,
                print_every=args.print_freq,
                report=reporter.step,
                after_step=after_step,
            )
    finally:
        stream.close()
        reporter.close()
    if not quiet:
        tell_end(pixels, args.output, done, total)
    return 0 if done >= total else 128 + (signals.number or signal.SIGTERM)


def length_of(iterations: int | None, epochs: int | None, per_epoch: int) -> int:
    """Iterations of the whole run. Raises PretrainError for more than the names of checkpoints can hold."""
    total = iterations or (epochs or 200) * per_epoch
    if total > MOST_ITERATIONS:
        raise PretrainError(
            f"--epochs {epochs} are {total} iterations; expected at most {MOST_ITERATIONS}: lower --epochs"
        )
    return total


def say_knn(
    monitor: KnnMonitor, encoder: Any, reporter: Reporter, signals: Signals, epoch: int, done: int
) -> None:
    """Measures and records the kNN accuracy. A request to stop breaks it off until the run goes on."""
    title = f"kNN of epoch {epoch}" if done else "kNN of the untrained network"
    reporter.say(f"{title}: {monitor.num_images} images")
    try:
        with reporter.phase(title, monitor.num_images) as shown:

            def advance(count: int) -> None:
                shown(count)
                signals.raise_stop()

            reporter.say_knn(epoch, done, monitor.accuracy(encoder, done=advance))
    except Stopped:
        reporter.say(f"{title} is broken off; it is measured when the run goes on")


def find_checkpoint(directory: Path, wanted: Path | None) -> tuple[str, dict[str, Any]] | None:
    """What to go on from: the newest good checkpoint of the run itself, else the one that --resume names."""
    found = checkpoint.newest(directory, warn)
    if found:
        return str(found[0]), found[1]
    return (str(wanted), checkpoint.load(wanted)) if wanted else None


def tell_end(pixels: Pixels, directory: Path, done: int, total: int) -> None:
    """Names corrupt images and the file that the run leaves."""
    for name, reason in pixels.corrupt_names().items():
        warn(f"corrupt image replaced: {name} ({reason})")
    if not done:
        print("stopped before the first iteration, nothing to save; run again to begin", flush=True)
        return
    ended = "finished" if done >= total else f"stopped at iteration {done} of {total}; run again to go on"
    print(f"{ended}: {directory / checkpoint.LAST}", flush=True)
