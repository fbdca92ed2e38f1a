"""`python -m transfer.datasets`: see `check.main`."""

import os
import sys

from transfer.datasets.check import main


def _piped() -> int:
    """As `main`; a reader that has seen enough (`| head`) ends it without a word."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to flush at exit
        return 141  # as a shell counts SIGPIPE
    return code


if __name__ == "__main__":
    sys.exit(_piped())
