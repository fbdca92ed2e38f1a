"""A child process that may save its state when Ctrl-C ends it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any


def run(command: Sequence[str], **options: Any) -> int:
    """The exit code of a command. Ctrl-C reaches it as well as us, and it ends by itself once it has saved;
    subprocess.run would kill it after a quarter of a second.
    """
    process = subprocess.Popen(command, **options)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
