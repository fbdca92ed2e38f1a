"""Linear classifiers on frozen features: training that goes on from its newest checkpoint."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.errors import PretrainError
from pretrain.images.decode import Pixels
from pretrain.images.draws import RECIPES
from pretrain.images.loader import Batch, batches
from pretrain.networks.encoders import pooled_features
from pretrain.process.progress import Reporter, trim_log
from pretrain.process.signals import STOP, Signals
from pretrain.run import find_checkpoint, tell_end
from pretrain.training import state
from pretrain.training.loop import Totals
from pretrain.training.saver import Saver
from pretrain.training.schedule import step_schedule


@dataclass(frozen=True)
class Protocol:
    """The options that move the numbers, named as on the command line: part of a run's identity."""

    lr: list[float]
    epochs: int
    schedule: list[int]  # epochs
    batch_size: int
    image_size: int  # pixels
    seed: int


def new_head(width: int, classes: int) -> nn.Linear:
    """Weights from N(0, 0.01), zero bias, as published."""
    head = nn.Linear(width, classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head


def trunk_sha256(encoder: nn.Module) -> str:
    """Hash of names, types, shapes and values of all tensors below the encoder's own head."""
    digest = hashlib.sha256()
    for name, value in encoder.state_dict().items():
        if not name.startswith("fc."):
            digest.update(f"{name}\t{value.dtype}\t{tuple(value.shape)}\n".encode())
            digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def fit(
    encoder: nn.Module,
    heads: Sequence[nn.Module],
    pixels: Pixels,
    protocol: Protocol,
    *,
    arch: str,
    directory: Path,
    workers: int,
    device: torch.device,
    print_every: int,
    save_minutes: float,
) -> int:
    """Trains one head per learning rate, from the newest checkpoint in `directory` to the end or to a signal.

    `encoder` maps images Nx3xSxS to features NxF, `heads` map them to logits NxC. Returns 0 when finished,
    128 + N where signal N ended it. Raises PretrainError where the checkpoint is of another run, the loss is
    no longer finite, or the trunk did not stay as it was.
    """
    images = pixels.images
    per_epoch = len(images) // protocol.batch_size
    total = protocol.epochs * per_epoch
    identity = {
        **asdict(protocol),
        "num_images": len(images),
        "images_sha256": images.sha256(),
        "trunk_sha256": trunk_sha256(encoder),
    }
    encoder.eval()
    frozen = {name: value.clone() for name, value in encoder.state_dict().items()}
    model = nn.ModuleList(heads)
    optimizer = torch.optim.SGD(
        [{"params": list(head.parameters()), "lr": lr} for head, lr in zip(heads, protocol.lr, strict=True)],
        momentum=0.9,
    )
    totals = Totals(device)
    first = 0
    if found := find_checkpoint(directory, None):
        source, stored = found
        state.require_same_run(stored["identity"], identity, source)
        state.unpack(stored, model, optimizer, source)
        with state.fitting(source, "running means"):
            totals.load(stored["totals"])
        first = state.iteration_of(stored, per_epoch)

    def contents(done: int) -> dict[str, Any]:
        require_unmoved(frozen, encoder.state_dict())
        return state.pack(
            model,
            optimizer,
            arch=arch,
            iteration=done,
            per_epoch=per_epoch,
            identity=identity,
            totals=totals.values,
        )

    saver = Saver(
        directory=directory,
        contents=contents,
        keep=2,
        minutes=save_minutes,
        iterations=None,
        finite=totals.finite,
    )
    trim_log(directory, first)
    reporter = Reporter(directory, first=first, total=total, batch_size=protocol.batch_size)
    reporter.say(
        f"{len(images)} images, frozen {arch}, lr {', '.join(f'{lr:g}' for lr in protocol.lr)} on {device}"
        + (f", going on from iteration {first} of {total}" if first else "")
    )
    signals = Signals()
    stream = batches(
        pixels,
        RECIPES["linear"],
        seed=protocol.seed,
        batch_size=protocol.batch_size,
        image_size=protocol.image_size,
        first=first,
        last=total,
        workers=workers,
        augment_on_host=True,
        pin=device.type == "cuda",
        views=1,
    )

    def after_step(done: int) -> bool:
        request = signals.take()
        if done == total or request or saver.due(done):
            saver.save(done)
        return request == STOP

    try:
        done = train_heads(
            encoder,
            model,
            optimizer,
            stream,
            torch.tensor(images.labels(), device=device),
            first=first,
            last=total,
            device=device,
            learning_rates=[step_schedule(lr, protocol.schedule, per_epoch) for lr in protocol.lr],
            totals=totals,
            print_every=print_every,
            report=reporter.step,
            after_step=after_step,
        )
    finally:
        stream.close()
        reporter.close()
        signals.restore()
    tell_end(pixels, directory, done, total)
    return 0 if done == total else 128 + signals.number


def train_heads(
    encoder: nn.Module,
    heads: nn.ModuleList,
    optimizer: torch.optim.Optimizer,
    stream: Iterable[Batch],
    labels: Tensor,
    *,
    first: int,
    last: int,
    device: torch.device,
    learning_rates: Sequence[Callable[[int], float]],
    totals: Totals,
    print_every: int,
    report: Callable[[int, dict[str, float]], None],
    after_step: Callable[[int], bool],
) -> int:
    """Trains from iteration `first` to `last`; returns the number of iterations done.

    `labels` are class numbers (int64) of all images. `report` gets means over `print_every` iterations and
    all heads: the only wait for the device. `after_step(done)` may save; True ends the training.
    """
    for iteration, batch in zip(range(first, last), stream, strict=False):
        for group, rate_at in zip(optimizer.param_groups, learning_rates, strict=True):
            group["lr"] = rate_at(iteration)
        with torch.no_grad():
            features = pooled_features(encoder, batch.images(device, (), True)[0])
        target = labels[batch.index.to(device, non_blocking=True)]
        logits = [head(features) for head in heads]
        losses = [F.cross_entropy(scores, target) for scores in logits]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # the sum couples nothing: each head's gradient is its own
        optimizer.step()
        for loss, scores in zip(losses, logits, strict=True):
            totals.add(loss.detach(), scores.detach(), target)

        done = iteration + 1
        if done % print_every == 0 or done == last:
            means = totals.read()
            if not math.isfinite(means["loss"]):
                raise PretrainError(f"the loss became {means['loss']} by iteration {done}; lower --lr")
            report(done, means)
        if after_step(done):
            return done
    return last


def require_unmoved(before: dict[str, Tensor], after: dict[str, Tensor]) -> None:
    """The proof that only the classifier was trained: every trunk tensor, statistics included, is
    bit-identical.
    """
    moved = [name for name, value in after.items() if not value.equal(before[name])]
    if moved:
        raise PretrainError(
            f"the frozen trunk moved during linear training ({moved[0]}, ...); the result is not valid"
        )
