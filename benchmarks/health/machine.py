"""Checks the machine: disk, memory, cores, its Slurm, and the named weights in its cache."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.health.finding import NOTE, OK, PROBLEM, Finding
from transfer.process.cache import cache_folder


def resources(output: Path) -> Iterator[Finding]:
    """Checks the disk under the output, memory and cores."""
    there = next(path for path in [output.absolute(), *output.absolute().parents] if path.exists())
    free = shutil.disk_usage(there).free / 1e9
    fix = "a cell keeps up to 1 GB while it trains (two checkpoints), 0.2 GB after; choose another --output"
    yield Finding(
        PROBLEM if free < 2 else OK, f"disk: {free:.0f} GB free at {there}", fix if free < 2 else ""
    )
    if not os.access(there, os.W_OK):
        yield Finding(PROBLEM, f"{there} is not writable", "choose another --output")
    memory = _memory_gb()
    if memory is not None:
        few = memory < 4
        fix = "close something; a miniature takes 1 to 2 GB, a full recipe's data set up to 2 GB more"
        yield Finding(NOTE if few else OK, f"memory: {memory:.0f} GB available", fix if few else "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding(OK, f"{cores} CPU cores")


def _memory_gb() -> float | None:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 / 1e9 if found else None


def slurm() -> Iterator[Finding]:
    """Asks Slurm, where it is installed, for its partitions."""
    if not shutil.which("sbatch"):
        yield Finding(NOTE, "no Slurm here (only --launcher slurm needs one)")
        return
    if importlib.util.find_spec("submitit") is None:
        yield Finding(NOTE, "Slurm is here, submitit is not", "pip install -e '.[slurm]'")
    try:
        answer = subprocess.run(["sinfo", "-h", "-o", "%P %D %t"], capture_output=True, text=True, timeout=10)
        says = answer.stdout.strip() or answer.stderr.strip()
        works = answer.returncode == 0 and bool(answer.stdout.strip())
    except (OSError, subprocess.TimeoutExpired) as error:
        says, works = str(error), False
    line = "; ".join(says.splitlines()[:6])
    fix = "" if works else "ask the cluster's administrators; sinfo must answer where you start the command"
    yield Finding(OK if works else NOTE, f"Slurm: {line or 'sinfo says nothing'}", fix)


def weights() -> Iterator[Finding]:
    """Looks for the named weights in the cache."""
    from benchmarks.planning.named_weights import KNOWN

    for name, known in KNOWN.items():
        path = cache_folder() / known.file
        if path.exists():
            yield Finding(OK, f"--init {name}: {path}")
        else:
            how = f"it is fetched when first asked for; offline: {known.where}"
            yield Finding(NOTE, f"--init {name}: {path} is not there", how)
