"""Weighted nearest neighbours on frozen features (Wu et al. 2018, InstDisc), without any training.

A monitor of runs, and `python -m pretrain.knn` for a finished checkpoint.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.cli import default_workers, reported
from pretrain.errors import PretrainError, warn
from pretrain.features import add_encoder_options, extract, load_encoder
from pretrain.images.sources import ImageSet, find_images
from pretrain.options import Parser, positive, real
from pretrain.process.memory import keep_freed_memory
from pretrain.process.progress import shown, write_result

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

K, TEMPERATURE = 200, 0.07


def knn_accuracy(
    train: Tensor,
    train_labels: Tensor,
    test: Tensor,
    test_labels: Tensor,
    k: int = K,
    T: float = TEMPERATURE,
) -> float:
    """Top-1 accuracy in percent of test features MxF; a neighbour votes with exp(cosine similarity / T)."""
    from torch.nn import functional as F

    train, test = F.normalize(train, dim=1), F.normalize(test, dim=1)
    classes = int(max(train_labels.max(), test_labels.max())) + 1
    correct = 0
    for features, labels in zip(test.split(512), test_labels.split(512), strict=True):
        similarity, neighbours = (features @ train.T).topk(min(k, len(train)), dim=1)  # nxk
        votes = features.new_zeros(len(features), classes)
        votes.scatter_add_(1, train_labels[neighbours], (similarity / T).exp())
        correct += int((votes.argmax(1) == labels).sum())
    return 100 * correct / len(test)


def labelled_pair(data: str, advice: str = "give --knn-data") -> tuple[ImageSet, ImageSet]:
    """The labelled train/ and val/ (or test/) of a folder. Raises PretrainError where one or its classes are
    missing.
    """
    root = Path(data)
    held_out = next((root / name for name in ("val", "test") if (root / name).is_dir()), None)
    if not (root / "train").is_dir() or held_out is None:
        raise PretrainError(f"{root}: needs class folders in train/ and in val/ or test/; {advice}")
    pair = find_images(root / "train", subset=None), find_images(held_out, subset=None, minimum=1)
    for images, folder in zip(pair, (root / "train", held_out), strict=True):
        if not images.classes:
            raise PretrainError(f"{folder}: needs one folder per class; found images without a class")
    unknown = set(pair[1].classes) - set(pair[0].classes)
    if unknown:
        raise PretrainError(f"{held_out}: class {sorted(unknown)[0]!r} is not in {root / 'train'}")
    return pair


class KnnMonitor:
    """Accuracy of pooled features on a labelled folder, as often as it is asked for. Decoded images are
    cached.
    """

    def __init__(
        self,
        sets: tuple[ImageSet, ImageSet],
        image_size: int,
        device: torch.device,
        workers: int,
        cache_bytes: int = 0,
        batch_size: int = 256,
    ) -> None:
        import torch

        from pretrain.images.decode import Pixels

        self.pixels = [Pixels(images, cache_bytes // 2) for images in sets]
        self.num_images = sum(map(len, sets))
        numbers = {name: number for number, name in enumerate(sets[0].classes)}
        self._labels = [torch.tensor([numbers[i.label or ""] for i in images.images]) for images in sets]
        self._options: dict[str, Any] = {
            "image_size": image_size,
            "device": device,
            "workers": workers,
            "batch_size": batch_size,
        }

    def accuracy(
        self,
        encoder: nn.Module,
        k: int = K,
        T: float = TEMPERATURE,
        done: Callable[[int], None] = lambda count: None,
    ) -> float:
        """Percent, with the encoder in evaluation mode; its mode is put back afterwards.

        `done` is told after each batch how many images it had, and may raise to end the work.
        """
        from pretrain.networks.encoders import pooled_features

        mode = encoder.training
        encoder.eval()
        try:
            train, test = (
                extract(lambda x: pooled_features(encoder, x), pixels, done=done, **self._options)
                for pixels in self.pixels
            )
        finally:
            encoder.train(mode)
        return knn_accuracy(train, self._labels[0], test, self._labels[1], k, T)


def main(arguments: Sequence[str] | None = None) -> int:
    """kNN accuracy of a checkpoint, as --knn-every measures it; 0 when done, 2 on bad input."""
    parser = Parser(prog="python -m pretrain.knn", description=main.__doc__)
    parser.add_argument("--data", required=True, help="class folders in train/ and in val/ or test/")
    parser.add_argument(
        "--pretrained", required=True, type=Path, metavar="FILE", help="checkpoint of pretrain"
    )
    parser.add_argument(
        "-k",
        type=positive,
        metavar="K",
        help=f"neighbours that vote; default {K}, or all labelled images where there are fewer",
    )
    parser.add_argument(
        "--temperature",
        type=real(0.0125),  # below, exp(1 / T) leaves the range of float32
        default=TEMPERATURE,
        metavar="T",
        help="of the votes",
    )
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="the accuracy, in percent")
    add_encoder_options(parser)
    args = parser.parse_args(arguments)
    return reported(lambda: measure(args))


def measure(args: argparse.Namespace) -> int:
    """Prints the accuracy. Raises PretrainError on bad input."""
    from pretrain.process import distributed

    sets = labelled_pair(args.data, "give a folder that has them")
    train, test = map(len, sets)
    if args.k and args.k > train:
        raise PretrainError(f"-k {args.k}: expected 1 to {train}, the number of labelled images")
    k = args.k or min(K, train)
    device = distributed.start_alone(args.device, "pretrain.knn")
    encoder, arch = load_encoder(args.pretrained, device, args.key_encoder)
    workers = args.workers or default_workers()
    monitor = KnnMonitor(sets, args.image_size, device, workers, batch_size=args.batch_size)
    with shown(monitor.num_images, "kNN") as advance:
        accuracy = monitor.accuracy(encoder, k, args.temperature, advance)
    for pixels in monitor.pixels:
        for name, reason in pixels.corrupt_names().items():
            warn(f"corrupt image replaced: {name} ({reason})")
    print(
        f"kNN top-1 {accuracy:.2f} (k {k}, temperature {args.temperature:g}): "
        f"{test} images by {train} labelled ones",
        flush=True,
    )
    if args.output:
        result = {
            "knn": accuracy,
            "k": k,
            "temperature": args.temperature,
            "arch": arch,
            "pretrained": str(args.pretrained),
            "train_images": train,
            "test_images": test,
        }
        write_result(result, args.output)
    return 0


if __name__ == "__main__":
    from converters.command import command

    keep_freed_memory()
    sys.exit(command(main))
