"""Fixtures of the pre-training tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pretrain.helpers import write_images


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"), 24)
