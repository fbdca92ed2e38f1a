"""`python -m pretrain.linear`: the paper's linear protocol, one fc layer on frozen pooled features.

As published (arXiv 1911.05722, section 4.1): LR 30, no weight decay, 100 epochs, x0.1 at 60 and 80, batch
256, random crops and flips, 1-crop top-1. The trunk is in evaluation mode throughout, and is compared with
the checkpoint before every save. Several learning rates are trained at once: they share the trunk's pass,
which is nearly all of the cost.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pretrain.errors import PretrainError
from pretrain.images.labelled import labelled_pair
from pretrain.monitors.protocols import LinearProtocol
from pretrain.options import (
    Parser,
    add_watching,
    default_workers,
    device,
    frozen,
    positive,
    real,
    seed,
    whole,
)
from pretrain.process.exit_code import exit_code
from pretrain.process.memory import keep_freed_memory
from pretrain.process.progress import write_result

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class LinearOptions:
    """Holds the options of the command, one field each; those that move its numbers are in `protocol`."""

    data: str
    pretrained: Path
    output: Path | None
    protocol: LinearProtocol
    workers: int | None
    device: str
    print_freq: int
    save_minutes: float


def build_parser() -> Parser:
    parser = Parser(
        prog="python -m pretrain.linear",
        description="Linear evaluation of a checkpoint. The same command again resumes.",
    )
    add = parser.add_argument
    add("--data", required=True, help="class folders in train/ and in val/ or test/")
    add("--pretrained", required=True, type=Path, metavar="FILE", help="checkpoint of pretrain")
    folder = "result file; checkpoints and log.jsonl go to the folder FILE/"
    default = "default: linear.json beside --pretrained"
    add("--output", type=Path, metavar="FILE.json", help=f"{folder}; {default}")
    add("--lr", type=real(0), nargs="+", default=[30.0], help="one or several; each is reported")
    add("--epochs", type=positive, default=100)
    add("--schedule", type=whole(0), nargs="*", default=[60, 80], metavar="EPOCH")
    add("-b", "--batch-size", type=positive, default=256)
    add("--image-size", type=positive, default=224)
    add("-j", "--workers", type=positive)
    add("--seed", type=seed, default=0)
    add("--device", type=device, default="auto")
    add_watching(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 0 when done, 2 on bad input, 128 + N where signal N ended it."""
    args = build_parser().parse_args(arguments)
    options = frozen(LinearOptions, args, protocol=frozen(LinearProtocol, args))
    return exit_code(lambda: evaluate(options))


def evaluate(options: LinearOptions) -> int:
    """Trains one classifier per learning rate to the end or to a signal; then writes their top-1 in percent.

    Returns the exit code; raises PretrainError on bad input.
    """
    import torch

    from pretrain.images.decode import Pixels
    from pretrain.monitors.features import extract
    from pretrain.monitors.linear_fit import Running, fit, new_head
    from pretrain.networks.encoders import feature_width
    from pretrain.process import distributed
    from pretrain.training.load_encoder import load_encoder
    from pretrain.training.refusals import make_directory

    protocol = options.protocol
    output = options.output or options.pretrained.parent / "linear.json"
    if not output.suffix:
        raise PretrainError(f"--output {output}: expected FILE.json, for checkpoints go to the folder FILE/")
    train_set, test_set = labelled_pair(options.data, "give a folder that has them")
    device = distributed.start_alone(options.device, "pretrain.linear")
    encoder, arch = load_encoder(options.pretrained, device)
    if protocol.batch_size > len(train_set):
        raise PretrainError(
            f"--batch-size {protocol.batch_size}: expected 1 to {len(train_set)}, "
            "the number of training images"
        )
    directory = output.with_suffix("")
    make_directory(directory)
    torch.manual_seed(protocol.seed)
    heads = [new_head(feature_width(encoder), len(train_set.classes)).to(device) for _ in protocol.lr]
    workers = options.workers or default_workers()
    running = Running(directory, workers, device, options.print_freq, options.save_minutes)
    code = fit(encoder, heads, Pixels(train_set, cache_bytes=1 << 30), protocol, arch, running)
    if code:
        return code
    labels = torch.tensor(test_set.labels(train_set.classes))
    size = protocol.image_size
    features = extract(encoder, Pixels(test_set), image_size=size, device=device, workers=workers)
    accuracies = top1(features.to(device), heads, labels)
    for rate, accuracy in zip(protocol.lr, accuracies, strict=True):
        print(f"lr {rate:g}: top-1 {accuracy:.2f}", flush=True)
    result = {
        "top1": {f"{rate:g}": accuracy for rate, accuracy in zip(protocol.lr, accuracies, strict=True)},
        "arch": arch,
        "epochs": protocol.epochs,
        "pretrained": str(options.pretrained),
        "train_images": len(train_set),
        "test_images": len(test_set),
    }
    write_result(result, output)
    return 0


def top1(features: Tensor, heads: Sequence[nn.Module], labels: torch.Tensor) -> list[float]:
    """Computes the accuracy of each head in percent, from features MxF and labels M (CPU)."""
    return [100 * (head(features).argmax(1).cpu() == labels).float().mean().item() for head in heads]


if __name__ == "__main__":
    from converters.command import command

    keep_freed_memory()
    sys.exit(command(main))
