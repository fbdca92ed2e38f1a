"""Runs `python -m transfer.datasets`: see `check.main`."""

from __future__ import annotations

import sys

from converters.command import command


def main() -> int:
    """Runs `check.main`, imported only now: where numpy is absent, one line says so."""
    from transfer.datasets import check

    return check.main()


if __name__ == "__main__":
    sys.exit(command(main))
