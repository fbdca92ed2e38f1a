"""Ctrl-C goes to a whole process group; a child that saves its state must get the time for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks import child

ROOT = Path(child.__file__).parents[1]
CHILD = """
import signal, sys, time
def save(*_):
    time.sleep(1)
    print("saved", flush=True)
    sys.exit(130)
signal.signal(signal.SIGINT, save)
print("ready", flush=True)
time.sleep(60)
"""
PARENT = f"import sys; from benchmarks import child; sys.exit(child.run([sys.executable, '-c', {CHILD!r}]))"


def test_the_exit_code_is_the_childs() -> None:
    assert child.run([sys.executable, "-c", "raise SystemExit(7)"]) == 7


def test_ctrl_c_waits_for_the_child_to_save() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    os.killpg(parent.pid, signal.SIGINT)
    out, err = parent.communicate(timeout=60)
    assert (out, err, parent.returncode) == ("saved\n", "", 130)
