"""Says where files that can be made again are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "MOCO_TRANSFER_CACHE"


def cache_folder() -> Path:
    """The folder $MOCO_TRANSFER_CACHE, else ~/.cache/moco-transfer."""
    return Path(os.environ.get(VARIABLE) or Path("~/.cache/moco-transfer").expanduser())
