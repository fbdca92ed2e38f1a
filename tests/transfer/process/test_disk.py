"""A disk that takes no more, and the numbers that must survive it."""

from __future__ import annotations

import errno
import pickle
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from transfer.errors import DiskError
from transfer.process.disk import disk_line, is_full, writing
from transfer.training.outcome import FILE, forget_metrics, keep_metrics, kept_metrics


def test_a_full_disk_names_the_file_what_it_needs_and_what_is_free(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "model.pth"
    with pytest.raises(DiskError) as stop, writing(path, 642_000_000):
        raise OSError(errno.ENOSPC, "No space left on device")
    words = str(stop.value)
    assert words.startswith(f"{path}: No space left on device (642.0 MB are needed, ")
    assert words.endswith(" MB are free); make room, and the same command goes on")
    assert is_full(stop.value)


def test_other_errors_say_what_they_say(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=f"^{tmp_path}/file: No such file or directory$"), writing(tmp_path):
        (tmp_path / "file").read_bytes()
    assert disk_line(OSError("torn"), "x") == "x: torn"
    assert not is_full(OSError(errno.ENOENT, "No such file or directory"))
    with pytest.raises(KeyError), writing(tmp_path):
        raise KeyError("not the disk's")


def test_it_travels_between_processes() -> None:
    again = pickle.loads(pickle.dumps(DiskError("x: full")))
    assert (type(again), str(again)) == (DiskError, "x: full")


def test_a_checkpoint_that_does_not_fit_names_itself(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands in for the disk."""
    script = (
        "import sys, torch; from pathlib import Path\n"
        "from transfer.training.checkpoint import save_checkpoint\n"
        "save_checkpoint(Path(sys.argv[1]), 7, {'a': torch.zeros(100_000)})"
    )

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, cwd=ROOT, preexec_fn=limit
    )
    last = done.stderr.splitlines()[-1]
    assert f"DiskError: {tmp_path}/iter_0000007.pth: File too large (0.4 MB are needed, " in last
    assert not list(tmp_path.glob("iter_*.pth"))


def test_metrics_are_kept_until_they_are_forgotten(tmp_path: Path) -> None:
    assert kept_metrics(tmp_path) is None
    keep_metrics(tmp_path, {"bbox": {"AP": 12.5, "APs": None}})
    assert kept_metrics(tmp_path) == {"bbox": {"AP": 12.5, "APs": None}}
    (tmp_path / FILE).write_text('{"bbox": {"A')
    assert kept_metrics(tmp_path) is None, "half a file is none"
    forget_metrics(tmp_path)
    forget_metrics(tmp_path)
    assert list(tmp_path.iterdir()) == []
