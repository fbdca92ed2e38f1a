"""`python -m pretrain`: pre-train a backbone on a folder of images."""

import sys

from converters.command import command
from pretrain.cli import main
from pretrain.process.memory import keep_freed_memory

if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(command(main))
