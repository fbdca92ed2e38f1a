"""A tiny DTD, packed as the real one, and a server that has it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest

from tests.transfer.datasets.image_list.public.layouts import WRITERS
from tests.transfer.datasets.prepare.archives import FILE
from tests.transfer.datasets.prepare.bad_server import BadServer, served
from transfer.datasets.prepare import fetch as fetching


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A tiny DTD, packed as the real one."""
    root = tmp_path_factory.mktemp("archive")
    WRITERS["dtd"](root)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        tar.add(root / "dtd" / "dtd", "dtd")
    return stream.getvalue()


@pytest.fixture
def server(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[BadServer]:
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.3)
    monkeypatch.setenv("no_proxy", "*")
    with served() as one:
        one.files[FILE] = archive
        yield one
