"""Bounds of a download from the hub: bytes, disk and time, each with a server that goes beyond it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.errors import UsageError
from benchmarks.planning import download
from benchmarks.planning.inits import open_inits
from benchmarks.planning.named_weights import KNOWN
from tests.benchmarks.planning.fake_hub import FakeHub
from transfer.process import web

NET, FILE = "hf/owner/net", "model.safetensors"


def _refused(hub_cache: Path, message: str, init: str = NET) -> None:
    """The init is refused with that message, in one line, and nothing is left of it."""
    with pytest.raises(UsageError, match=message) as caught:
        open_inits([init])
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"--init {init}: ")
    assert [path for path in hub_cache.rglob("*") if path.is_file()] == []


def _fetched(hub: FakeHub, file: str = FILE) -> bool:
    return any(path.endswith(f"/{file}") for path in hub.asked)


def _free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage = shutil.disk_usage("/")._replace(free=free)
    monkeypatch.setattr("transfer.process.disk.shutil.disk_usage", lambda _: usage)


def test_the_size_is_said_first(hub: FakeHub, raw_weights: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    open_inits([NET])
    says = f"fetching {hub.address}/owner/net/resolve/{'1' * 40}/{FILE} ({len(raw_weights) / 1e6:.1f} MB)"
    assert says in capsys.readouterr().err


def test_a_file_that_is_too_large_is_not_asked_for(hub: FakeHub, hub_cache: Path) -> None:
    hub.sizes = {FILE: download.LARGEST + 1}
    _refused(
        hub_cache,
        "model.safetensors has 32.0 GiB, and 32.0 GiB at most are fetched.; download model",
    )
    assert not _fetched(hub)


@pytest.mark.parametrize("said", [True, False], ids=["published", "by the answer alone"])
def test_a_disk_that_is_too_small(
    said: bool, hub: FakeHub, hub_cache: Path, raw_weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    _free(monkeypatch, len(raw_weights) - 1)
    hub.sizes = {} if said else None
    megabytes = rf"{len(raw_weights) / 1e6:.1f} MB"
    too_small = rf"the disk is too small .{megabytes} are needed, {megabytes} are free.;"
    _refused(hub_cache, f"{FILE}: {too_small} make room, and the same command goes on$")
    assert _fetched(hub) is not said
    _free(monkeypatch, len(raw_weights) + 1000)
    assert open_inits([NET])[0].backbone is not None


@pytest.mark.parametrize(("bad", "sizes", "message"), [
    ("too short", {}, r"the server has \d+ bytes, expected \d+"),
    ("too long", {}, r"the server has \d+ bytes, expected \d+"),
    ("", {FILE: 99}, r"the server has \d+ bytes, expected 99"),
    ("endless", {}, r"more than \d+ bytes came"),
    ("drips", {}, "less than 1000 bytes a second for 0.1 s"),
    ("stalls", {}, "timed out"),
    ("breaks off", {}, r"\d+ of \d+ bytes came"),
    ("other bytes", {}, "its SHA-256 is"),
])  # fmt: skip
def test_a_server_that_lies_drips_or_never_ends(
    bad: str,
    sizes: dict[str, int],
    message: str,
    hub: FakeHub,
    hub_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(download, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(web, "SLOW_S", 0.1)
    hub.bad, hub.sizes = bad, sizes
    _refused(hub_cache, rf"was not fetched .{message}")


def test_without_any_size_there_is_a_bound(
    hub: FakeHub, hub_cache: Path, raw_weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.bad, hub.sizes = "endless", None
    most = len(raw_weights) + 10
    real: Any = download.fetch
    monkeypatch.setattr("benchmarks.planning.hub.fetch", lambda *words: real(*words[:5], most))
    _refused(hub_cache, f"more than {most} bytes came")


def test_settings_are_small(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.planning.hub.MOST", 1000)
    hub.files["config.json"] = json.dumps({"note": "x" * 1000}).encode()
    with pytest.raises(
        UsageError, match="was not fetched .config.json has 1012 bytes, and 1000 bytes at most a"
    ):
        open_inits([NET])
    assert not _fetched(hub, "config.json")


def test_an_answer_about_a_repository_is_bounded(
    hub: FakeHub, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.planning.hub_server.MOST", 100)
    _refused(hub_cache, "was not fetched .more than 100 bytes came.")


def test_weights_known_by_name_need_room_too(
    hub: FakeHub, hub_cache: Path, raw_weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{hub.address}/owner/net/resolve/main/{FILE}"
    known = KNOWN["supervised"].__class__("net.pth", "", lambda: address, "somewhere")
    monkeypatch.setitem(KNOWN, "supervised", known)
    _free(monkeypatch, 1000)
    _refused(hub_cache, "the disk is too small .* make room, and the same command goes on$", "supervised")
    _free(monkeypatch, len(raw_weights))
    assert open_inits(["supervised"])[0].backbone is not None
