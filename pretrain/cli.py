"""The command line of `python -m pretrain`; torch is imported only after the arguments are understood."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from pretrain.errors import complain, line_of, warn
from pretrain.options import Parser, positive, real, seed, whole
from pretrain.process.signals import Stopped, raising

MOST_ITERATIONS = 99_999_999  # the names of checkpoints hold eight digits


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m pretrain",
        description="MoCo pre-training of a ResNet on unlabelled images. The same command again resumes.",
        epilog="Several GPUs: torchrun --nproc-per-node 8 -m pretrain ...",
    )
    _add_data(parser.add_argument_group("data"))
    _add_method(parser.add_argument_group("method (names and defaults of the published code)"))
    _add_training(parser.add_argument_group("training"))
    _add_running(parser.add_argument_group("running"))
    return parser


def _add_data(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--data",
        required=True,
        help="folder of images or class folders (its train/ where there is one), .txt list, .tar",
    )
    group.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="checkpoints and log.jsonl go here"
    )
    group.add_argument("--image-size", type=positive, default=224, metavar="N")
    group.add_argument("-j", "--workers", type=positive, metavar="N", help="threads that prepare images")
    group.add_argument(
        "--cache-mb", type=whole(0), default=1024, metavar="N", help="memory for decoded images"
    )
    group.add_argument(
        "--max-corrupt", type=real(0, 1), default=0.01, metavar="SHARE", help="corrupt images that stop a run"
    )
    group.add_argument(
        "--augment-on",
        choices=("auto", "host", "device"),
        default="auto",
        help="where colour and blur are computed",
    )


def _add_method(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-a",
        "--arch",
        default="resnet50",
        help="torchvision ResNet/ResNeXt; suffix w2x, w4x, w0.5x, w0.25x: width",
    )
    group.add_argument("--mechanism", choices=("queue", "memory_bank", "end_to_end"), default="queue")
    group.add_argument("--moco-dim", type=positive, default=128, metavar="C", help="feature dimension")
    group.add_argument(
        "--moco-k", type=positive, default=65536, metavar="K", help="queue size: number of negatives"
    )
    group.add_argument(
        "--moco-m", type=real(0, 1), default=0.999, metavar="M", help="momentum of the key encoder"
    )
    group.add_argument(
        "--moco-t", type=real(0, above=True), default=0.07, metavar="T", help="softmax temperature (v2: 0.2)"
    )
    group.add_argument(
        "--bank-m", type=real(0, 1), default=0.5, metavar="M", help="momentum of memory bank entries"
    )
    group.add_argument("--mlp", action="store_true", help="MLP head (v2)")
    group.add_argument("--aug-plus", action="store_true", help="augmentation with blur (v2)")
    group.add_argument("--cos", action="store_true", help="cosine learning rate (v2)")
    group.add_argument(
        "--small-images", action="store_true", help="CIFAR stem: 3x3 convolution, no max-pooling"
    )
    group.add_argument(
        "--no-shuffle-bn", action="store_true", help="ablation: keys see the batch of their queries"
    )
    group.add_argument(
        "--bn-groups",
        type=positive,
        metavar="G",
        help="BatchNorm groups of the whole batch; default: one a process, or batch/32 and at least 2 in one",
    )


def _add_training(group: argparse._ArgumentGroup) -> None:
    length = group.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=positive, metavar="N", help="default 200")
    length.add_argument(
        "--max-iters",
        type=whole(1, MOST_ITERATIONS),
        metavar="N",
        help="length in iterations instead of epochs",
    )
    group.add_argument(
        "-b", "--batch-size", type=positive, default=256, metavar="N", help="of all processes together"
    )
    group.add_argument("--lr", "--learning-rate", dest="lr", type=real(0), default=0.03)
    group.add_argument(
        "--schedule",
        type=whole(0),
        nargs="*",
        default=[120, 160],
        metavar="EPOCH",
        help="x0.1 at these epochs",
    )
    group.add_argument(
        "--lr-decay-every", type=positive, metavar="ITERS", help="decay by iterations (IG-1B: 62500)"
    )
    group.add_argument(
        "--lr-decay",
        type=real(0, above=True),
        default=0.9,
        metavar="FACTOR",
        help="factor of --lr-decay-every",
    )
    group.add_argument("--momentum", type=real(0, 1), default=0.9)
    group.add_argument("--wd", "--weight-decay", dest="wd", type=real(0), default=1e-4)
    group.add_argument("--seed", type=seed, default=0)


def _add_running(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--resume", type=Path, metavar="FILE", help="start from this checkpoint (ours or the official)"
    )
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    group.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto")
    group.add_argument(
        "--deterministic", action="store_true", help="equal bits from equal runs on a GPU too, but slower"
    )
    group.add_argument("--compile", action="store_true", help="torch.compile the encoders")
    add_watching(group)
    group.add_argument("--save-iters", type=positive, metavar="N", help="save every N iterations as well")
    group.add_argument("--keep", type=positive, default=2, metavar="K", help="checkpoints kept")
    group.add_argument("--tensorboard", action="store_true")
    group.add_argument("--knn-every", type=positive, metavar="EPOCHS", help="kNN accuracy every N epochs")
    group.add_argument(
        "--knn-data", metavar="DIR", help="class folders in train/ and val/ or test/; default: --data"
    )


def add_watching(group: argparse._ActionsContainer) -> None:
    """What every training command offers: when to report and when to save."""
    group.add_argument(
        "-p", "--print-freq", type=positive, default=10, metavar="N", help="iterations between reports"
    )
    group.add_argument("--save-minutes", type=real(0), default=10.0, metavar="N")


def default_workers() -> int:
    """One thread a core of this process's share, 16 at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(16, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 0 when finished, 2 on bad input, 128 + N where signal N ended it."""
    args = build_parser().parse_args(arguments)

    def command() -> int:
        from pretrain.run import run

        return run(args)

    return reported(command)


def reported(command: Callable[[], int], memory_advice: str = "lower --batch-size or --image-size") -> int:
    """The exit code of `command`: with one line, 2 for bad input and 128 + N where signal N ended it."""
    try:
        with raising():
            return command()
    except Stopped as stop:
        warn(str(stop))
        return 128 + stop.number
    except Exception as error:
        line = line_of(error, memory_advice)
        if line is None:
            raise
    complain(line)
    return 2
