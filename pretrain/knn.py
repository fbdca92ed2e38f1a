"""The kNN monitor: weighted nearest neighbours on frozen features (Wu et al. 2018, InstDisc), without any
training.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.decode import Pixels
from pretrain.encoders import pooled_features
from pretrain.errors import PretrainError
from pretrain.features import extract
from pretrain.sources import ImageSet, find_images


def knn_accuracy(
    train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, k: int = 200, T: float = 0.07
) -> float:
    """Top-1 accuracy in percent of test features MxF; a neighbour votes with exp(cosine similarity / T)."""
    train, test = F.normalize(train, dim=1), F.normalize(test, dim=1)
    classes = int(max(train_labels.max(), test_labels.max())) + 1
    correct = 0
    for features, labels in zip(test.split(512), test_labels.split(512), strict=True):
        similarity, neighbours = (features @ train.T).topk(min(k, len(train)), dim=1)  # nxk
        votes = features.new_zeros(len(features), classes)
        votes.scatter_add_(1, train_labels[neighbours], (similarity / T).exp())
        correct += int((votes.argmax(1) == labels).sum())
    return 100 * correct / len(test)


def labelled_pair(data: str) -> tuple[ImageSet, ImageSet]:
    """The labelled train/ and val/ (or test/) of a folder. Raises PretrainError where one or its classes are
    missing.
    """
    root = Path(data)
    held_out = next((root / name for name in ("val", "test") if (root / name).is_dir()), None)
    if not (root / "train").is_dir() or held_out is None:
        raise PretrainError(
            f"{root}: the kNN monitor needs class folders in train/ and in val/ or test/; give --knn-data"
        )
    pair = find_images(root / "train", subset=None), find_images(held_out, subset=None, minimum=1)
    for images, folder in zip(pair, (root / "train", held_out), strict=True):
        if not images.classes:
            raise PretrainError(
                f"{folder}: the kNN monitor needs one folder per class; found images without a class"
            )
    if unknown := set(pair[1].classes) - set(pair[0].classes):
        raise PretrainError(f"{held_out}: class {sorted(unknown)[0]!r} is not in {root / 'train'}")
    return pair


class KnnMonitor:
    """Accuracy of pooled features on a labelled folder, as often as it is asked for. Decoded images are
    cached.
    """

    def __init__(
        self, data: str, image_size: int, device: torch.device, workers: int, cache_bytes: int
    ) -> None:
        train, test = labelled_pair(data)
        self._sets = [Pixels(images, cache_bytes // 2) for images in (train, test)]
        numbers = {name: number for number, name in enumerate(train.classes)}
        self._labels = [
            torch.tensor([numbers[i.label or ""] for i in images.images]) for images in (train, test)
        ]
        self._image_size, self._device, self._workers = image_size, device, workers

    def accuracy(self, encoder: nn.Module) -> float:
        """Percent, with the encoder in evaluation mode; its mode is put back afterwards."""
        mode = encoder.training
        encoder.eval()
        try:
            train, test = (
                extract(
                    lambda x: pooled_features(encoder, x),
                    pixels,
                    image_size=self._image_size,
                    device=self._device,
                    workers=self._workers,
                )
                for pixels in self._sets
            )
        finally:
            encoder.train(mode)
        return knn_accuracy(train, self._labels[0], test, self._labels[1])
