"""`python -m transfer.datasets`: see `check.main`."""

import sys

from transfer.datasets.check import main

if __name__ == "__main__":
    sys.exit(main())
