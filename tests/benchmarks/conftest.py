"""What the tests of grids share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.own_kit import write_kit


@pytest.fixture(scope="module")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: boxes of three classes without segmentations, and the suite of twelve lines."""
    return write_kit(tmp_path_factory.mktemp("own")).parent
