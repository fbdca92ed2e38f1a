"""One pre-training run put together from its options: data, model, schedule, resume, loop, checkpoints."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from pretrain import checkpoint, distributed, state
from pretrain.checks import bn_groups, check_sizes, identity_of, make_directory
from pretrain.cli import default_workers
from pretrain.decode import Pixels
from pretrain.draws import RECIPES
from pretrain.encoders import make_encoder_factory
from pretrain.knn import KnnMonitor
from pretrain.loader import batches
from pretrain.mechanisms import make_model
from pretrain.progress import Reporter, trim_log
from pretrain.saver import Saver
from pretrain.schedule import choose_schedule
from pretrain.signals import STOP, Signals
from pretrain.sources import ImageSet, find_images
from pretrain.train import Totals, choose_precision, prepared, train


def run(args: argparse.Namespace) -> int:
    """Trains to the end or to a signal; returns the exit code. Options are taken apart here only."""
    images = find_images(args.data)
    groups = bn_groups(args.bn_groups, args.batch_size, args.mechanism, shuffle=not args.no_shuffle_bn)
    check_sizes(len(images), args.batch_size, args.moco_k, groups, args.mechanism)
    make_directory(args.output)
    device = distributed.start(args.device)
    try:
        return _run(args, images, groups, device)
    finally:
        distributed.stop()


def _run(args: argparse.Namespace, images: ImageSet, groups: int, device: torch.device) -> int:
    recipe_name = "v2" if args.aug_plus else "v1"
    workers = args.workers or default_workers()
    precision = choose_precision(args.precision, device)
    per_epoch = len(images) // args.batch_size
    total = args.max_iters or (args.epochs or 200) * per_epoch
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
        num_images=len(images),
        bank_momentum=args.bank_m,
    ).to(device)
    model.to(memory_format=torch.channels_last)
    # All parameters, as published: the key encoder's never get a gradient, so SGD leaves them alone.
    optimizer = torch.optim.SGD(
        model.parameters(), args.lr, momentum=args.momentum, weight_decay=args.wd, fused=True
    )
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
    totals = Totals(device)

    quiet = distributed.rank() > 0
    contents = find_checkpoint(args.output, args.resume, quiet)
    first = 0
    if contents:
        source = contents[0]
        state.require_same_run(contents[1].get("identity", {}), identity, source)
        state.unpack(contents[1], model, optimizer, source)
        scaler.load_state_dict(contents[1].get("scaler") or scaler.state_dict())
        totals.load(contents[1].get("totals", {}))
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
        f"{precision} on {device}" + (f", going on from iteration {first}" if first else "")
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
        monitor = KnnMonitor(
            args.knn_data or args.data, args.image_size, device, workers, args.cache_mb << 20
        )
        if first == 0:
            reporter.say_knn(0, 0, monitor.accuracy(model.encoder_q))
    signals = Signals()
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

    def after_step(done: int) -> bool:
        request = signals.take()
        if distributed.world_size() > 1:
            # All must stop at the same iteration; to ask at each one would cost a wait.
            request = distributed.any_process(request, device) if done % args.print_freq == 0 else 0
        if monitor and done % (args.knn_every * per_epoch) == 0:
            # Before the save, so that no resume loses it.
            reporter.say_knn(done // per_epoch, done, monitor.accuracy(model.encoder_q))
        if done == total or request or saver.due(done):
            saver.save(done)
        return request == STOP

    try:
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
        signals.restore()
    if not quiet:
        tell_end(pixels, args.output, done, total)
    return 0 if done >= total else 128 + signals.number


def find_checkpoint(directory: Path, wanted: Path | None, quiet: bool) -> tuple[str, dict[str, Any]] | None:
    """What to go on from: the newest good checkpoint of the run itself, else the one that --resume names."""

    def warn(text: str) -> None:
        if not quiet:
            print(f"warning: {text}", flush=True)

    found = checkpoint.newest(directory, warn)
    if found:
        return str(found[0]), found[1]
    return (str(wanted), checkpoint.load(wanted)) if wanted else None


def tell_end(pixels: Pixels, directory: Path, done: int, total: int) -> None:
    """Names corrupt images and the file that the run leaves."""
    for name, reason in pixels.corrupt_names().items():
        print(f"warning: corrupt image replaced: {name} ({reason})")
    ended = "finished" if done >= total else f"stopped at iteration {done} of {total}; run again to go on"
    print(f"{ended}: {directory / checkpoint.LAST}", flush=True)
