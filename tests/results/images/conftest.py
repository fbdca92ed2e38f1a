"""Files as a run leaves them, of random scenes with their data sets and predictions."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from results.images.file import Outcomes, read_outcomes
from transfer.evaluation import per_image


@pytest.fixture
def reread(tmp_path: Path) -> Any:
    """Writes what an evaluation keeps, and reads it as the tables do."""

    def through_a_file(kept: per_image.Outcomes) -> Outcomes:
        path = tmp_path / per_image.FILE
        per_image.save_outcomes(kept, path)
        return read_outcomes(path, hashlib.sha256(path.read_bytes()).hexdigest())

    return through_a_file
