"""Hostile files are refused or read inertly: no import, call, file, network or process effect, quickly."""

from __future__ import annotations

import codecs
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from converters.containers.reading import open_file
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from tests.converters.checkpoint_nets import Weights, tensors
from tests.converters.hostile_pickles import CALLS, MARKER, REPLICAS, TARGETS, WRAPS

# Audit events that only code of the file could raise while it is read. Reading itself opens that one file,
# maps it and starts one thread.
HARMLESS = {"open", "mmap.__new__", "_thread.start_new_thread", "_thread.start_joinable_thread", "os.putenv"}
FORBIDDEN = (
    "import", "exec", "compile", "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pickle.", "marshal.",
    "code.", "object.", "pty.", "webbrowser.", "urllib.", "cpython.", "sys.", "function.", "tempfile.",
)  # fmt: skip


class Watch:
    """One audit hook for the whole process, which records only while `path` is set."""

    def __init__(self) -> None:
        self.path: str | None = None
        self.events: list[str] = []
        sys.addaudithook(self.hook)

    def hook(self, event: str, args: tuple) -> None:
        if self.path is None or event in HARMLESS - {"open"}:
            return
        if event == "open":
            if str(args[0]) != self.path:
                self.events.append(f"open {args[0]}")
        elif event.startswith(FORBIDDEN):
            self.events.append(f"{event} {str(args)[:80]}")

    @contextmanager
    def over(self, path: Path) -> Iterator[list[str]]:
        self.events, self.path = [], str(path)
        try:
            yield self.events
        finally:
            self.path = None


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Watch:
    """Whatever Python loads on first use is loaded before anything is watched."""
    folder = tmp_path_factory.mktemp("warm")
    codecs.lookup("raw_unicode_escape")  # the text of protocol 0
    for wrap in WRAPS.values():
        for payload in (b"\x80\x02}.", b"\x80\x02R."):
            with pytest.raises(CheckpointError):
                open_checkpoint(wrap(payload, folder))
    return Watch()


def test_the_watch_sees_what_it_should(watch: Watch, tmp_path: Path) -> None:
    with watch.over(tmp_path / "x") as events:
        os.system("true")
        (tmp_path / "other").write_text("x")
        eval("1 + 1")
    assert {event.split()[0] for event in events} >= {"os.system", "open", "compile", "exec"}


@pytest.mark.parametrize("container", WRAPS)
@pytest.mark.parametrize("call", CALLS)
def test_calls_are_inert(call: str, container: str, watch: Watch, tmp_path: Path) -> None:
    modules = set(sys.modules)
    for module, name, argument in TARGETS:
        path = WRAPS[container](CALLS[call](module, name, argument), tmp_path)
        start = time.perf_counter()
        with watch.over(path) as events, pytest.raises(CheckpointError) as refusal:
            open_checkpoint(path)  # read inertly there is nothing to convert
        assert not events, (module, name)
        assert time.perf_counter() - start < 1
        assert str(refusal.value).isprintable()
    assert set(sys.modules) == modules
    assert not Path(MARKER).exists()
    assert not (tmp_path / MARKER).exists()


@pytest.mark.parametrize("container", WRAPS)
def test_replicas_of_bypasses(container: str, watch: Watch, tmp_path: Path) -> None:
    for name, payload in REPLICAS.items():
        path = WRAPS[container](payload, tmp_path)
        start = time.perf_counter()
        with watch.over(path) as events, pytest.raises(CheckpointError):
            open_checkpoint(path)
        assert not events, name
        assert time.perf_counter() - start < 1, name


def test_weights_beside_a_payload_are_still_read_and_the_payload_is_reported(
    tiny: Weights, watch: Watch, tmp_path: Path
) -> None:
    class Payload:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch {tmp_path / MARKER}",)

    path = tmp_path / "both.pth"
    torch.save({"state_dict": tensors(tiny), "hook": Payload()}, path)
    with watch.over(path) as events:
        backbone = open_checkpoint(path)
    assert not events
    assert (
        "warning: this file tries to run code elsewhere: posix.system; nothing was run here"
        in (backbone.manifest["notes"])
    )
    assert not (tmp_path / MARKER).exists()


def test_foreign_names_are_listed(tmp_path: Path) -> None:
    path = WRAPS["pickle"](CALLS["reduce-4"]("os", "system", "x"), tmp_path)
    assert open_file(path).foreign == ("os.system",)


LIES = {
    "array larger than its bytes": "reaches outside its storage",
    "array of negative size": "impossible shape",
    "array of text size": "impossible shape",
    "stride outside the storage": "reaches outside its storage",
    "offset outside the storage": "reaches outside its storage",
    "negative offset": "impossible shape",
    "negative stride": "impossible shape",
    "more strides than sizes": "2 strides",
    "storage larger than the file": "announces 1099511627776 elements",
    "storage of negative size": "malformed key or size",
}


@pytest.mark.parametrize("name", LIES)
def test_tensors_that_lie_about_their_place_are_refused_as_such(name: str, tmp_path: Path) -> None:
    """Refused while the pickle is read, for this reason: torch rebuilds some of these without a look."""
    path = WRAPS["zip"](REPLICAS[name], tmp_path)
    with pytest.raises(CheckpointError, match=f"pickle refused at byte .*{LIES[name]}"):
        open_file(path)
