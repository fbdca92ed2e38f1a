"""Trains linear classifiers on frozen features, and goes on from the newest checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pretrain.errors import PretrainError
from pretrain.images.decode import Pixels
from pretrain.images.draws import Views
from pretrain.images.loader import Loading, batches
from pretrain.methods.base import Method, Step
from pretrain.methods.parts import ACCURACIES, softmax_loss
from pretrain.monitors.protocols import LinearProtocol
from pretrain.networks.encoders import pooled_features
from pretrain.process.progress import Reporter, trim_log
from pretrain.process.signals import Signals
from pretrain.training.loop import train
from pretrain.training.saver import Saver, tell_end
from pretrain.training.schedule import step_schedule
from pretrain.training.state import RunState
from pretrain.training.totals import Totals
from pretrain.training.updates import Updates
from pretrain.training.watcher import Watcher


@dataclass(frozen=True)
class Running:
    """How a classification runs; its numbers do not depend on it."""

    directory: Path  # of checkpoints and log
    workers: int
    device: torch.device
    print_every: int  # iterations
    save_minutes: float


class LinearHeads(Method):
    """Classifiers on the features of one frozen encoder, which is no part of the module."""

    figures = ACCURACIES

    def __init__(self, encoder: nn.Module, heads: Sequence[nn.Module], labels: Tensor) -> None:
        """`encoder` maps images Nx3xSxS to features NxF; `heads` map them to logits NxC.

        `labels` are the class numbers (int64) of all images.
        """
        super().__init__()
        for number, head in enumerate(heads):
            self.add_module(str(number), head)
        self._frozen = (encoder,)  # in a tuple, where torch does not look for children
        self._labels = labels

    def forward(
        self, views: list[Tensor], index: Tensor, rng: torch.Generator, step: Step
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One loss a head. Their sum couples nothing, so each head's gradient is its own."""
        (images,) = views
        with torch.no_grad():
            features = pooled_features(self._frozen[0], images)
        target = self._labels[index]
        losses, logs = zip(*(softmax_loss(head(features), target) for head in self.children()), strict=True)
        return torch.stack(losses), {name: torch.stack([log[name] for log in logs]) for name in ACCURACIES}


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
    protocol: LinearProtocol,
    arch: str,
    running: Running,
) -> int:
    """Trains one head per learning rate, from the newest checkpoint of the run to the end or to a signal.

    `encoder` maps images Nx3xSxS to features NxF, `heads` map them to logits NxC. Returns 0 when finished,
    128 + N where signal N ended it. Raises PretrainError where the checkpoint is of another run, the loss is
    no longer finite, or the trunk did not stay as it was.
    """
    images, device, directory = pixels.images, running.device, running.directory
    per_epoch = len(images) // protocol.batch_size
    total = protocol.epochs * per_epoch
    encoder.eval()
    frozen = {name: value.clone() for name, value in encoder.state_dict().items()}
    method = LinearHeads(encoder, heads, torch.tensor(images.labels(), device=device))
    updates = _updates(heads, protocol, per_epoch, device)
    totals = Totals(device, method.figures)
    identity = _identity(protocol, pixels, encoder)
    state = RunState(method, updates.optimizer, updates.scaler, totals, arch, identity, per_epoch)

    def contents(done: int) -> dict[str, Any]:
        require_unmoved(frozen, encoder.state_dict())
        return state.pack(done)

    first = state.resume(directory)
    saver = Saver(directory, contents, totals.finite, keep=2, minutes=running.save_minutes)
    trim_log(directory, first)
    reporter = Reporter(directory, first=first, total=total, batch_size=protocol.batch_size)
    reporter.say(
        f"{len(images)} images, frozen {arch}, lr {', '.join(f'{lr:g}' for lr in protocol.lr)} on {device}"
        + (f", going on from iteration {first} of {total}" if first else "")
    )
    signals = Signals()
    watcher = Watcher(totals, reporter.step, running.print_every, saver, signals, device, "lower --lr")
    stream = batches(
        pixels,
        [Views(1, "linear", protocol.image_size)],
        seed=protocol.seed,
        batch_size=protocol.batch_size,
        first=first,
        last=total,
        loading=Loading(running.workers, colour_on_host=True, pin=device.type == "cuda"),
    )
    try:
        done = train(method, method, stream, updates, watcher, range(first, total), protocol.seed)
    finally:
        stream.close()
        reporter.close()
        signals.restore()
    pixels.warn_of_corrupt()
    tell_end(directory, done, total)
    return 0 if done == total else 128 + signals.number


def _identity(protocol: LinearProtocol, pixels: Pixels, encoder: nn.Module) -> dict[str, Any]:
    """All that decides the classifiers: options, images and the frozen trunk."""
    return {
        **protocol.identity(),
        "num_images": len(pixels.images),
        "images_sha256": pixels.images.sha256(),
        "trunk_sha256": trunk_sha256(encoder),
    }


def _updates(
    heads: Sequence[nn.Module], protocol: LinearProtocol, per_epoch: int, device: torch.device
) -> Updates:
    """SGD in float32 without weight decay, one parameter group and one schedule a head."""
    groups = [
        {"params": list(head.parameters()), "lr": lr} for head, lr in zip(heads, protocol.lr, strict=True)
    ]
    schedules = [step_schedule(lr, protocol.schedule, per_epoch) for lr in protocol.lr]
    return Updates(torch.optim.SGD(groups, momentum=0.9), schedules, device)


def require_unmoved(before: dict[str, Tensor], after: dict[str, Tensor]) -> None:
    """Proves that only heads were trained: every trunk tensor, statistics included, is bit-identical."""
    moved = [name for name, value in after.items() if not value.equal(before[name])]
    if moved:
        raise PretrainError(
            f"the frozen trunk moved during linear training ({moved[0]}, ...); the result is not valid"
        )
