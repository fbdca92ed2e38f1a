"""Command line: any self-supervised checkpoint in, a proven backbone file out.

python -m converters INPUT OUTPUT.pkl
python -m converters --inspect INPUT
python -m converters --list
python -m converters certify FILE --against REFERENCE
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from converters.certify.command import add_options, run
from converters.command import add_version
from converters.options import Parser
from converters.printable import printable

CERTIFY = "certify"  # the first word of the other command; a file of that name is ./certify
BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


def main(argv: list[str] | None = None) -> int:
    """Runs the command; 0 on success, 2 with one line on stderr for anything the user can change."""
    words = sys.argv[1:] if argv is None else argv
    parser, certifies = _parser(), words[:1] == [CERTIFY]
    if certifies:
        add_options(parser)
    args = parser.parse_args(words[1:] if certifies else words)
    from converters.errors import CheckpointError

    try:
        return run(args, _overrides(args)) if certifies else _run(args)
    except CheckpointError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except MemoryError:
        print("error: not enough memory to hold this backbone", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    from converters.errors import CheckpointError

    if args.list:
        from converters.output.inspect import list_sources

        print(list_sources())
        return 0
    if args.inspect:
        from converters.output.inspect import inspect

        if args.input is not None:
            raise CheckpointError(f"--inspect takes one file; {args.input} is one more")
        text, convertible = inspect(args.inspect, args.source, args.encoder, _overrides(args))
        print(text)
        return 0 if convertible else 2
    if args.input is None or args.output is None:
        raise CheckpointError("INPUT and OUTPUT are needed (or --inspect INPUT, or --list); see --help")
    from converters.convert import open_checkpoint
    from converters.output.export import export
    from converters.output.inspect import summary
    from converters.output.placing import check_place, choose_target

    target = choose_target(args.output, args.to)
    check_place(args.input, args.output, args.force)
    backbone = open_checkpoint(args.input, args.source, args.encoder, **_overrides(args))
    print(summary(export(backbone, args.output, target), args.output))
    return 0


def _overrides(args: argparse.Namespace) -> dict[str, Any]:
    stated = {
        "pixel_mean": args.pixel_mean,
        "pixel_std": args.pixel_std,
        "input_format": args.format,
        "stride_in_1x1": None if args.stride_in_1x1 is None else BOOLEANS[args.stride_in_1x1],
        "facts": _facts(args.fact),
        "prefix": args.prefix,
        "patch_size": args.patch_size,
        "accept": tuple(args.accept) or None,
    }
    return {key: value for key, value in stated.items() if value is not None}


def _facts(texts: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE each; a text without the sign is a key with an empty value, which no fact takes."""
    from converters.errors import CheckpointError

    facts: dict[str, str] = {}
    for text in texts:
        key, _, value = text.partition("=")
        if key in facts:
            raise CheckpointError(f"--fact {text}: {key} is given twice; it takes one value")
        facts[key] = value
    return facts


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, got {text!r}")
    return value


def _spread(text: str) -> float:
    value = _finite(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


class _Parser(Parser):
    """Ends a mistake with the usage and a message that is cut: a shell's glob hands over any file names."""

    TWICE = "given twice; it takes one value"

    def error(self, message: str) -> NoReturn:
        argparse.ArgumentParser.error(self, printable(message))


def _parser() -> argparse.ArgumentParser:
    summary = (__doc__ or "").split("\n\n")[0].removeprefix("Command line: ")
    parser = _Parser(prog="python -m converters", description=summary, allow_abbrev=True)
    parser.add_argument("input", nargs="?", help="checkpoint file or HuggingFace folder")
    parser.add_argument("output", nargs="?", help="file to write: *.pkl, *.pth, *.pt or *.safetensors")
    parser.add_argument("--inspect", metavar="INPUT", help="report what is in a file, write nothing")
    add_version(parser)
    parser.add_argument("--list", action="store_true", help="show the known sources")
    parser.add_argument("--source", metavar="NAME", help="whose file it is, when the content cannot tell")
    parser.add_argument("--encoder", choices=("online", "ema"), help="default: the one the field evaluates")
    parser.add_argument("--prefix", help="which of several complete networks, as --inspect shows them")
    parser.add_argument(
        "--to", choices=("detectron2", "torchvision", "safetensors"), help="default: as the suffix says"
    )
    parser.add_argument(
        "--force", action="store_true", help="overwrite OUTPUT whatever it is, but never INPUT"
    )
    parser.add_argument(
        "--pixel-mean", nargs=3, type=_finite, metavar="X", help="0..255, in the order of --format"
    )
    parser.add_argument("--pixel-std", nargs=3, type=_spread, metavar="X")
    parser.add_argument("--format", choices=("RGB", "BGR"))
    parser.add_argument("--stride-in-1x1", choices=tuple(BOOLEANS))
    parser.add_argument(
        "--fact", action="append", default=[], metavar="KEY=VALUE", help="of the family, as num_heads=12"
    )
    parser.add_argument("--patch-size", type=int, metavar="N", help="resize a ViT's patches to N pixels")
    parser.add_argument("--accept", action="append", default=[], metavar="CHECK", help="untrained, fused-bn")
    return parser


if __name__ == "__main__":
    from converters.command import command

    sys.exit(command(main))
