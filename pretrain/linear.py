"""`python -m pretrain.linear`: the paper's linear protocol, one fc layer on frozen pooled features.

As published (arXiv 1911.05722, section 4.1): LR 30, no weight decay, 100 epochs, x0.1 at 60 and 80, batch
256, random crops and flips, 1-crop top-1. The trunk is in evaluation mode throughout, and is compared with
the checkpoint before every save. Several learning rates are trained at once: they share the trunk's pass,
which is nearly all of the cost.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pretrain.cli import add_watching, default_workers, reported
from pretrain.errors import PretrainError
from pretrain.options import Parser, positive, real, seed, whole
from pretrain.process.memory import keep_freed_memory

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from pretrain.images.decode import Pixels


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m pretrain.linear",
        description="Linear evaluation of a checkpoint. The same command again resumes.",
    )
    parser.add_argument("--data", required=True, help="class folders in train/ and in val/ or test/")
    parser.add_argument("--pretrained", required=True, type=Path, metavar="FILE", help="MoCo checkpoint")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE.json",
        help="result file; checkpoints and log.jsonl go to the folder FILE/; default: linear.json beside "
        "--pretrained",
    )
    parser.add_argument(
        "--lr", type=real(0), nargs="+", default=[30.0], help="one or several; each is reported"
    )
    parser.add_argument("--epochs", type=positive, default=100)
    parser.add_argument("--schedule", type=whole(0), nargs="*", default=[60, 80], metavar="EPOCH")
    parser.add_argument("-b", "--batch-size", type=positive, default=256)
    parser.add_argument("--image-size", type=positive, default=224)
    parser.add_argument("-j", "--workers", type=positive)
    parser.add_argument("--seed", type=seed, default=0)
    parser.add_argument("--device", default="auto")
    add_watching(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when done, 2 on bad input, 128 + N where signal N ended it."""
    args = build_parser().parse_args(arguments)
    return reported(lambda: evaluate(args))


def evaluate(args: argparse.Namespace) -> int:
    """Trains one classifier per learning rate to the end or to a signal; at the end writes their top-1 in
    percent. Returns the exit code; raises PretrainError on bad input.
    """
    import torch

    from pretrain.features import load_encoder
    from pretrain.images.decode import Pixels
    from pretrain.knn import labelled_pair
    from pretrain.monitors.linear_fit import Protocol, fit, new_head
    from pretrain.networks.encoders import feature_width
    from pretrain.process import distributed
    from pretrain.process.progress import write_result
    from pretrain.training.checks import make_directory

    output: Path = args.output or args.pretrained.parent / "linear.json"
    if not output.suffix:
        raise PretrainError(f"--output {output}: expected FILE.json, for checkpoints go to the folder FILE/")
    train_set, test_set = labelled_pair(args.data, "give a folder that has them")
    device = distributed.start_alone(args.device, "pretrain.linear")
    encoder, arch = load_encoder(args.pretrained, device)
    if args.batch_size > len(train_set):
        raise PretrainError(
            f"--batch-size {args.batch_size}: expected 1 to {len(train_set)}, the number of training images"
        )
    make_directory(output.with_suffix(""))
    torch.manual_seed(args.seed)
    heads = [new_head(feature_width(encoder), len(train_set.classes)).to(device) for _ in args.lr]
    workers = args.workers or default_workers()
    code = fit(
        encoder,
        heads,
        Pixels(train_set, cache_bytes=1 << 30),
        Protocol(args.lr, args.epochs, args.schedule, args.batch_size, args.image_size, args.seed),
        arch=arch,
        directory=output.with_suffix(""),
        workers=workers,
        device=device,
        print_every=args.print_freq,
        save_minutes=args.save_minutes,
    )
    if code:
        return code
    numbers = {name: number for number, name in enumerate(train_set.classes)}
    labels = torch.tensor([numbers[image.label or ""] for image in test_set.images])
    accuracies = top1(encoder, heads, Pixels(test_set), labels, args.image_size, workers, device)
    for rate, accuracy in zip(args.lr, accuracies, strict=True):
        print(f"lr {rate:g}: top-1 {accuracy:.2f}", flush=True)
    result = {
        "top1": {f"{rate:g}": accuracy for rate, accuracy in zip(args.lr, accuracies, strict=True)},
        "arch": arch,
        "epochs": args.epochs,
        "pretrained": str(args.pretrained),
        "train_images": len(train_set),
        "test_images": len(test_set),
    }
    write_result(result, output)
    return 0


def top1(
    encoder: nn.Module,
    heads: Sequence[nn.Module],
    pixels: Pixels,
    labels: Tensor,
    image_size: int,
    workers: int,
    device: torch.device,
) -> list[float]:
    """1-crop accuracy of each head in percent."""
    from pretrain.features import extract
    from pretrain.networks.encoders import pooled_features

    features = extract(
        lambda x: pooled_features(encoder, x), pixels, image_size=image_size, device=device, workers=workers
    ).to(device)
    return [100 * (head(features).argmax(1).cpu() == labels).float().mean().item() for head in heads]


if __name__ == "__main__":
    from converters.command import command

    keep_freed_memory()
    sys.exit(command(main))
