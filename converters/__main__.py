"""Command line: `python -m converters INPUT OUTPUT.pkl`."""

from __future__ import annotations

import argparse
import sys


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m converters", description=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--source")
    parser.add_argument("--encoder", choices=("online", "ema"))
    args = parser.parse_args(argv)
    from converters.backbone import CheckpointError, save_backbone
    from converters.convert import open_checkpoint

    try:
        save_backbone(open_checkpoint(args.input, args.source, args.encoder), args.output)
    except CheckpointError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
