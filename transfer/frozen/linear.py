"""Trains linear layers on a frozen network's features of augmented crops, once for all suites that test them.

They are kept beside the features, under the hash of all that makes them, with the state of their training
after each epoch: a stopped run goes on from there, and a second suite takes the layers as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from transfer.datasets.image_list.batches import batches
from transfer.datasets.image_list.content import digests
from transfer.datasets.image_list.images import LabelledImages
from transfer.datasets.image_list.parts import Learnable, Task
from transfer.errors import TransferError
from transfer.frozen.crops import augmented
from transfer.frozen.extract import computed, list_sha256
from transfer.frozen.heads import Head
from transfer.frozen.learned import tensor
from transfer.frozen.work import Work, there
from transfer.probes.accuracy import accuracy
from transfer.probes.linear import Descent, Layers, best
from transfer.process.alone import alone
from transfer.process.draws import augmentation_generator, order_generator
from transfer.process.gather import share
from transfer.process.progress import progress
from transfer.training.checkpoint import load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

REVISION = 1  # raised when the same facts would give other layers


def trained(work: Work, task: Task) -> Head | None:
    """The layer of the rate that is best on held-out training images, trained on the others alone.

    Every process calls it; the main one gets the head. DataError for images with several classes.
    """
    learn = task.learn
    if learn is None:
        raise TransferError(f"{task.name} is only tested on; name a set that is trained on, too")
    if learn.fit.multi_label:
        raise TransferError(f"{task.name} has several classes an image, which PROBE.NAME svm alone takes")
    held = work.features(learn.held_out.without_labels())
    how, batch = descent(work, learn)
    blank = torch.zeros((1, work.view.crop, work.view.crop, 3), dtype=torch.uint8)
    width = work.net(blank.to(work.world.device)).shape[1]
    layers = Layers(width, len(task.classes), how, work.seed, work.world.device)
    key = share(key_of(work, learn) if work.world.main else None, work.world, work.group)
    folder = work.heads / key[:2] / key
    with alone(folder / "lock", "linear layers") if work.world.main else nullcontext():
        share(None, work.world, work.group)  # nobody looks before the main process has the lock
        _train(work, learn.fit, layers, batch, folder)
        share(None, work.world, work.group)
    return _chosen(layers, held, learn, len(task.classes), task.metric) if work.world.main else None


def descent(work: Work, learn: Learnable) -> tuple[Descent, int]:
    """(how the layers are trained, images of a batch); images that fill no batch wait for the next epoch."""
    linear = work.cfg.PROBE.LINEAR
    batch = min(linear.BATCH_SIZE, len(learn.fit))
    if batch < work.world.size:
        raise TransferError(
            f"PROBE.LINEAR.BATCH_SIZE: {batch} images a batch for {work.world.size} processes; take fewer"
        )
    steps = linear.EPOCHS * (len(learn.fit) // batch)
    how = Descent(
        tuple(linear.RATES),
        steps,
        linear.MOMENTUM,
        linear.NESTEROV and linear.MOMENTUM > 0,
        linear.WEIGHT_DECAY,
        linear.SCHEDULE,
    )
    return how, batch


def key_of(work: Work, learn: Learnable) -> str:
    """The hash of all that makes the layers."""
    fit = learn.fit
    told = {
        "revision": REVISION,
        **work.facts,
        "view": {**work.view.facts(), "resize": "random crop"},
        "linear": json.loads(json.dumps(work.cfg.PROBE.LINEAR)),
        "seed": work.seed,
        "images": list_sha256(fit, digests(fit)),
        "labels": hashlib.sha256(fit.labels.tobytes()).hexdigest(),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _train(work: Work, fit: LabelledImages, layers: Layers, batch: int, folder: Path) -> None:
    """Trains on from the last epoch that was kept, if any."""
    world, per_epoch = work.world, len(fit) // batch
    before = load_checkpoint(folder)
    if before is not None:
        layers.load(before.content)
    start = layers.done
    quiet = not world.main or start == layers.how.steps
    with progress(f"linear layers on {fit.name}", layers.how.steps, start, quiet) as advance:
        for epoch in range(start // per_epoch, layers.how.steps // per_epoch):
            for features, labels in _epoch(work, fit, epoch, batch):
                layers.step(features, labels, batch, shared=world.size > 1)
                advance("")
            if world.main:
                save_checkpoint(folder, layers.done, layers.state())


def _epoch(work: Work, fit: LabelledImages, epoch: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """This process's share of each batch: features of drawn crops, and labels."""
    world, view, linear = work.world, work.view, work.cfg.PROBE.LINEAR
    order = order_generator(work.seed, epoch).permutation(len(fit))[: len(fit) // batch * batch]
    mine = order.reshape(-1, batch)[:, world.rank :: world.size]
    number = {fit.ids[i]: int(i) for i in mine.flat}

    def seen(image: Picture, image_id: str) -> np.ndarray:
        rng = augmentation_generator(work.seed, epoch, number[image_id])
        return augmented(image, view.crop, view.interpolation, tuple(linear.AREA), rng)

    share_of = mine.shape[1]
    rows = fit.take(mine.ravel(), fit.name)
    for start, (pixels, _) in enumerate(batches(rows.without_labels(), seen, share_of, work.how.workers)):
        parts = [
            np.stack(pixels[i : i + work.how.batch_size]) for i in range(0, share_of, work.how.batch_size)
        ]
        made = [computed(work.net, part, world.device, work.how.precision) for part in parts]
        labels = rows.labels[start * share_of : (start + 1) * share_of]
        yield (
            torch.from_numpy(np.concatenate(made)).to(world.device),
            torch.from_numpy(labels).to(world.device),
        )


def _chosen(layers: Layers, held: np.ndarray | None, learn: Learnable, classes: int, metric: str) -> Head:
    """The best layer on the held-out images; of equal ones that of the first rate."""
    seen, labels = tensor(there(held)), torch.from_numpy(learn.held_out.labels)
    rates: Any = layers.how.rates
    scores = [
        float(accuracy(layers.scores(i, seen).argmax(1).cpu(), labels, classes, metric))  # type: ignore[arg-type]
        for i in range(len(rates))
    ]
    found = best(scores, layers.finite())
    at_edge = len(rates) > 1 and rates[found] in (min(rates), max(rates))
    told = {"rate": rates[found], "at_edge_of_grid": at_edge, "held_out": scores, "steps": layers.done}
    return Head(lambda features: layers.scores(found, features).cpu(), told)
