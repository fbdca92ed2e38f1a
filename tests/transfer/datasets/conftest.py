"""Real samples are reached where they lie and never copied into the repository."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real samples beside the repository; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real samples: ../shared/data beside the repository is absent")
    return folder
