"""Shared by the metric tests: the real samples, and the hand-written devkits of the data set tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "datasets"))  # for data_kits


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real samples beside the repository; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real samples: ../shared/data beside the repository is absent")
    return folder
