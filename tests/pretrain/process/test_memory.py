"""`python -m pretrain` reuses freed memory; what glibc makes of the setting is tried in tests/transfer."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PROGRAM = """
import resource, runpy, sys
sys.argv = [{module!r}, "--help"]
try:
    runpy.run_module({module!r}, run_name="__main__")
except SystemExit:
    pass
import numpy
for _ in range(3):
    numpy.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    numpy.ones(2**24)
print("faults", resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
@pytest.mark.parametrize("module", ["pretrain", "pretrain.linear"])
def test_the_commands_keep_freed_memory(module: str) -> None:
    command = [sys.executable, "-c", PROGRAM.format(module=module)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "faults 0"
