"""Command line of the certificate, which the command of the package hands over to:

python -m converters certify FILE [OUTPUT] --against timm:NAME | torch:CHECKOUT:MODULE:CALLABLE | FEATURES.npz
python -m converters certify FILE --write FEATURES.npz --against ...
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters.errors import CheckpointError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Makes the parser of conversion one of the certificate: a file is read by the same options in both."""
    parser.prog = f"{parser.prog} certify"
    parser.description = "compares the function of a converted checkpoint with its publisher's, map by map"
    parser.add_argument(
        "--against",
        metavar="REFERENCE",
        help="timm:NAME, torch:CHECKOUT:MODULE:CALLABLE (runs that code), or a file of features",
    )
    parser.add_argument("--write", metavar="FEATURES", help="store the reference's maps, compare nothing")
    parser.add_argument("--size", nargs="+", metavar="HxW", help="images; default: native, wide, 1024x1024")


def run(args: argparse.Namespace, overrides: Mapping[str, Any]) -> int:
    """Converts INPUT, compares, tells, and writes OUTPUT with the certificate in its manifest; 0 on success.

    CheckpointError where the two functions differ, with the cause, and for whatever the user can change.
    """
    if args.input is None or args.against is None or args.inspect or args.list:
        raise CheckpointError("certify takes INPUT and --against REFERENCE; see certify --help")
    if args.write and args.output:
        raise CheckpointError("--write stores the reference's maps and certifies nothing; leave OUTPUT out")
    from converters.certify.certificate import certify, report
    from converters.certify.features import write_features
    from converters.certify.images import sizes
    from converters.certify.reference import compute
    from converters.convert import open_checkpoint
    from converters.output.export import export
    from converters.output.placing import check_place, choose_target

    file, target = Path(args.input), ""
    if args.output:
        target = choose_target(args.output, args.to)
        check_place(file, args.output, args.force)
    backbone = open_checkpoint(file, args.source, args.encoder, **overrides)
    wanted = sizes(backbone.manifest, args.size or ())
    reference = compute(args.against, file, backbone.manifest, wanted)
    if args.write:
        write_features(Path(args.write), reference, wanted)
        print(f"{args.write}: maps of {reference.title} on {len(wanted)} images")
        return 0
    certified = certify(backbone, file, reference, wanted)
    print(report(certified, wanted))
    if target:
        export(certified, args.output, target)
        print(f"{args.output}: written, with the certificate in its manifest")
    return 0
