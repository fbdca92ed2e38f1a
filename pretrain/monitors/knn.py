"""Measures frozen features by weighted nearest neighbours (Wu et al. 2018, InstDisc), without training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pretrain.errors import PretrainError
from pretrain.images.decode import Pixels
from pretrain.images.sources import ImageSet
from pretrain.monitors.features import extract
from pretrain.process.progress import Reporter
from pretrain.process.signals import Signals, Stopped
from transfer.errors import TransferError
from transfer.probes.knn import classify
from transfer.probes.protocols import KNN_TEMPERATURE, neighbours


def knn_accuracy(
    train: Tensor,
    train_labels: Tensor,
    test: Tensor,
    test_labels: Tensor,
    k: int,
    T: float = KNN_TEMPERATURE,
) -> float:
    """Top-1 accuracy in percent of test features MxF; a neighbour votes with exp(cosine similarity / T)."""
    classes = int(max(train_labels.max(), test_labels.max())) + 1
    try:
        (predicted,) = classify(train, train_labels, test, [k], T, classes)
    except TransferError as error:
        raise PretrainError(str(error)) from None
    return 100 * int((predicted == test_labels).sum()) / len(test)


class KnnEvaluation:
    """Measures the accuracy of pooled features on a labelled pair of image sets, as often as it is asked."""

    def __init__(
        self,
        sets: tuple[ImageSet, ImageSet],
        image_size: int,
        device: torch.device,
        workers: int,
        cache_bytes: int = 0,
        batch_size: int = 256,
    ) -> None:
        """`sets` are the one that votes and the one that is classified; each caches half of `cache_bytes`."""
        self.pixels = [Pixels(images, cache_bytes // 2) for images in sets]
        self.num_images = sum(map(len, sets))
        self._labels = [torch.tensor(images.labels(sets[0].classes)) for images in sets]
        self.k = neighbours(int(self._labels[0].bincount().min()))
        self._image_size, self._batch_size = image_size, batch_size
        self._device, self._workers = device, workers

    def accuracy(
        self,
        encoder: nn.Module,
        k: int | None = None,
        T: float = KNN_TEMPERATURE,
        done: Callable[[int], None] = lambda count: None,
    ) -> float:
        """The accuracy in percent, with the encoder in evaluation mode; its mode is put back afterwards.

        `k` neighbours vote, by default `self.k`, which suits the set. `done` is told after each batch how
        many images it had, and may raise to end the work.
        """
        mode = encoder.training
        encoder.eval()
        try:
            train, test = (
                extract(
                    encoder,
                    pixels,
                    image_size=self._image_size,
                    device=self._device,
                    batch_size=self._batch_size,
                    workers=self._workers,
                    done=done,
                )
                for pixels in self.pixels
            )
        finally:
            encoder.train(mode)
        return knn_accuracy(train, self._labels[0], test, self._labels[1], k or self.k, T)


@dataclass
class KnnMonitor:
    """Measures and records the kNN accuracy of an encoder every few epochs of its training."""

    every: int  # epochs
    per_epoch: int  # iterations
    encoder: nn.Module
    evaluation: KnnEvaluation | None  # None in all processes but the first, which wait for it
    reporter: Reporter
    signals: Signals

    def due(self, done: int) -> bool:
        return done % (self.every * self.per_epoch) == 0

    def measure(self, done: int) -> None:
        """Measures after `done` iterations. A request to stop breaks it off until the run goes on."""
        if self.evaluation is None:
            return
        epoch, total = done // self.per_epoch, self.evaluation.num_images
        title = f"kNN of epoch {epoch}" if done else "kNN before the first iteration"
        self.reporter.say(f"{title}: {total} images")
        try:
            with self.reporter.phase(title, total) as shown:

                def advance(count: int) -> None:
                    shown(count)
                    self.signals.raise_stop()

                accuracy = self.evaluation.accuracy(self.encoder, done=advance)
                self.reporter.record(done, {"knn": accuracy, "knn_k": self.evaluation.k})
                self.reporter.say(f"epoch {epoch}: kNN top-1 {accuracy:.2f} (k {self.evaluation.k})")
        except Stopped:
            self.reporter.say(f"{title} is broken off; it is measured when the run goes on")
