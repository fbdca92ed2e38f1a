"""Runs the command line of `python -m pretrain`; torch is imported only after the arguments are read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from converters.command import add_version
from converters.trackers import add_flags
from pretrain.methods.choose import METHODS, PRESETS, joint_row, method_names, option_classes, row_names
from pretrain.methods.options import MethodOptions
from pretrain.options import Parser, add_watching, device, frozen, positive, real, seed, whole
from pretrain.process.exit_code import exit_code
from pretrain.training.run_options import MOST_ITERATIONS, RunOptions

if TYPE_CHECKING:
    from pretrain.methods.joint.published import Published

NAMES = ("--method", "--mechanism")  # two names of one option
ARCH = ("-a", "--arch")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 0 when finished, 2 on bad input, 128 + N where signal N ended it."""
    options = read(sys.argv[1:] if arguments is None else arguments)

    def command() -> int:
        from pretrain.run import run

        return run(options)

    return exit_code(command)


def read(words: Sequence[str]) -> RunOptions:
    """Reads the options of a run. Ends the program with one line where they cannot be read."""
    name = _named(words, *NAMES)
    row = joint_row(name, _named(words, *ARCH)) if name in row_names() else None
    parser = build_parser(row, name)
    args, unknown = parser.parse_known_args(words)
    if unknown and row:
        from pretrain.methods.joint.flags import row_flags

        known = ", ".join(row_flags(row))
        parser.error(f"{unknown[0]} is no option of --method {name}; its own are {known}")
    if "--terms" in [word.partition("=")[0] for word in unknown]:
        takes = [name for name in row_names() if hasattr(joint_row(name), "terms")]
        parser.error(f"--terms needs a method that compares views: {', '.join(takes)}")
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    args.mechanism = PRESETS.get(args.mechanism, {}).get("mechanism", args.mechanism)
    return frozen(RunOptions, args, method=_method(row, args))


def _method(row: Published | None, args: argparse.Namespace) -> MethodOptions:
    """The options of the method that the arguments ask for."""
    if row is None:
        return frozen(METHODS[args.mechanism].options, args)
    from pretrain.methods.joint.flags import given_row

    return given_row(row, args)


def _named(words: Sequence[str], *names: str) -> str:
    """The value of an option before all are read: method and network decide which others there are."""
    for number, word in enumerate(words):
        option, _, value = word.partition("=")
        if option in names:
            return value or "".join(words[number + 1 : number + 2])
        short = next((name for name in names if name[1] != "-" and word.startswith(name)), "")
        if short:  # -aNAME
            return word.removeprefix(short).removeprefix("=")
    return ""


def build_parser(row: Published | None = None, name: str = "") -> argparse.ArgumentParser:
    """Makes the parser: of the methods in the table, or of a row of the frame, called `name`."""
    parser = Parser(
        prog="python -m pretrain",
        description="Pre-training of a ResNet by MoCo, its rivals or labels, or of a ViT. The same command "
        "again resumes.",
        epilog="Several GPUs: torchrun --nproc-per-node 8 -m pretrain ...  With --method NAME, --help lists "
        "the options of that method.",
    )
    add_version(parser)
    _add_data(parser.add_argument_group("data"))
    _add_network(parser.add_argument_group("method and network"))
    training = parser.add_argument_group("training")
    _add_length(training)
    if row is None:
        for kind in option_classes():
            kind.add_to(parser.add_argument_group(kind.title))
        _add_training(training)
        parser.set_defaults(**PRESETS.get(name, {}))
    else:
        from pretrain.methods.joint.flags import GENERAL, add_row

        add_row(row, parser.add_argument_group(f"{name} (defaults of the published code)"))
        parser.set_defaults(**GENERAL | row.published)
    _add_running(parser.add_argument_group("running"))
    return parser


def _add_data(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    source = "folder of images or class folders (its train/ where there is one), .txt list, .tar"
    add("--data", required=True, help=source)
    add("--output", required=True, type=Path, metavar="DIR", help="checkpoints and log.jsonl go here")
    add("--image-size", type=positive, default=224, metavar="N")
    add("-j", "--workers", type=positive, metavar="N", help="threads that prepare images")
    add("--cache-mb", type=whole(0), default=1024, metavar="N", help="memory for decoded images")
    corrupt = "corrupt images that stop a run"
    add("--max-corrupt", type=real(0, 1), default=0.01, metavar="SHARE", help=corrupt)
    places = ("auto", "host", "device")
    add("--augment-on", choices=places, default="auto", help="where colour and blur are computed")


def _add_network(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    arch = (
        "torchvision ResNet/ResNeXt; suffix w2x, w4x, w0.5x, w0.25x: width; or convnext_SIZE, vit_SIZE_patchN"
    )
    add(*ARCH, default="resnet50", help=arch)
    method = "queue is MoCo; supervised takes the labels of class folders, lists or shards"
    add(*NAMES, dest="mechanism", choices=method_names(), default="queue", help=method)
    add("--small-images", action="store_true", help="CIFAR stem: 3x3 convolution, no max-pooling")


def _add_length(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    length = group.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=positive, metavar="N", help="default 200")
    iterations = "length in iterations instead of epochs"
    length.add_argument("--max-iters", type=whole(1, MOST_ITERATIONS), metavar="N", help=iterations)
    add("-b", "--batch-size", type=positive, default=256, metavar="N", help="of all processes together")
    add("--seed", type=seed, default=0)


def _add_training(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--lr", "--learning-rate", dest="lr", type=real(0), default=0.03)
    epochs = "x0.1 at these epochs"
    add("--schedule", type=whole(0), nargs="*", default=[120, 160], metavar="EPOCH", help=epochs)
    add("--cos", action="store_true", help="cosine learning rate (v2)")
    decay = "decay by iterations (IG-1B: 62500)"
    add("--lr-decay-every", type=positive, metavar="ITERS", help=decay)
    factor = real(0, above=True)
    add("--lr-decay", type=factor, default=0.9, metavar="FACTOR", help="factor of --lr-decay-every")
    add("--momentum", type=real(0, 1), default=0.9)
    add("--wd", "--weight-decay", dest="wd", type=real(0), default=1e-4)
    groups = "BatchNorm groups of the whole batch; default: one a process, or batch/32 and at least 2 in one"
    add("--bn-groups", type=positive, metavar="G", help=groups)


def _add_running(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    beginning = group.add_mutually_exclusive_group()
    goes_on = "go on with this checkpoint (ours or the official)"
    beginning.add_argument("--resume", type=Path, metavar="FILE", help=goes_on)
    weights = "begin with the encoder of this file: fresh optimizer, schedule and queue"
    beginning.add_argument("--start-from", type=Path, metavar="FILE", help=weights)
    add("--device", type=device, default="auto", help="auto, cpu, cuda or cuda:N")
    add("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto")
    equal = "equal bits from equal runs on a GPU too, but slower"
    add("--deterministic", action="store_true", help=equal)
    add("--compile", action="store_true", help="torch.compile the encoders")
    add_watching(group)
    add("--save-iters", type=positive, metavar="N", help="save every N iterations as well")
    add("--keep", type=positive, default=2, metavar="K", help="checkpoints kept")
    add_flags(group)
    add("--knn-every", type=positive, metavar="EPOCHS", help="kNN accuracy every N epochs")
    folders = "class folders in train/ and val/ or test/; default: --data"
    add("--knn-data", metavar="DIR", help=folders)
    collapse = "measure collapse every N iterations: methods of the frame, default 100, 0 never"
    add("--monitor-every", type=whole(0), metavar="N", help=collapse)
    add("--stop-on-collapse", action="store_true", help="end a run that has collapsed, with exit code 2")
