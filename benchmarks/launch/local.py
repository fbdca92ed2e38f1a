"""Runs cells on this machine: packed onto its GPUs, or some at a time on the CPU, each in its own process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from benchmarks.errors import UsageError
from benchmarks.launch.job import Job, environment_of_cell, exit_code, is_free, settle
from transfer.process.signals import collected

POLL_S = 0.2
Slot = dict[str, str]  # what a cell that runs there finds in its environment


def gpu_slots(visible: Sequence[str], gpus_per_cell: int, at_once: int | None) -> list[Slot]:
    """Slots for as many cells as the GPUs hold, each with GPUs of its own; `at_once` may ask for fewer."""
    places = len(visible) // gpus_per_cell
    if not places:
        raise UsageError(
            f"--gpus-per-cell {gpus_per_cell}: more than the {len(visible)} visible; ask for fewer"
        )
    groups = [visible[i * gpus_per_cell : (i + 1) * gpus_per_cell] for i in range(places)]
    return [{"CUDA_VISIBLE_DEVICES": ",".join(group)} for group in groups[: at_once or places]]


def cpu_slots(at_once: int | None) -> list[Slot]:
    """`at_once` slots, which share the cores."""
    if at_once is None or at_once == 1:
        return [{}]
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // at_once))
    return [{"OMP_NUM_THREADS": threads} for _ in range(at_once)]


def visible_gpus() -> list[str]:
    """The ids that CUDA_VISIBLE_DEVICES names, else all of the machine's."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    return [str(number) for number in range(torch.cuda.device_count())]


def slots_of(device: str | None, gpus_per_cell: int, at_once: int | None) -> list[Slot]:
    """The slots of this machine: on its GPUs unless `device` says otherwise or there are none."""
    from transfer.process.distributed import pick_device

    picked = pick_device(device, gpus_per_cell)
    if picked.type == "cpu":
        return cpu_slots(at_once)
    if picked.index is not None:  # the user named one: nothing is left to be distributed
        return [{}]
    return gpu_slots(visible_gpus(), gpus_per_cell, at_once)


def hardware(device: str | None, gpus_per_cell: int) -> str:
    """The name of what cells run on, as records have it."""
    import torch

    from benchmarks.planning.environment import cpu_name
    from transfer.process.distributed import pick_device

    picked = pick_device(device, gpus_per_cell)
    return torch.cuda.get_device_name(picked) if picked.type == "cuda" else cpu_name()


def run_local(jobs: Sequence[Job], slots: Sequence[Slot]) -> int:
    """Runs the jobs in their order, one in each slot at a time; returns the exit code of the whole.

    A cell that another process has is left for the end, so that several commands may share an output.
    A stop signal is passed on to the cells, which save their state, and nothing new is started.
    """
    waiting, free = list(jobs), list(slots)
    running: list[_Child] = []
    outcomes: list[str] = []
    alone = len(slots) == 1
    with collected() as stopped:
        while running or (waiting and not stopped):
            while waiting and free and not stopped:
                job = waiting.pop(next((n for n, job in enumerate(waiting) if is_free(job.lock)), 0))
                print(f"cell {len(jobs) - len(waiting)}/{len(jobs)}: {job.title}", file=sys.stderr)
                running.append(_start(job, free.pop(0), alone))
            time.sleep(POLL_S)
            for child in list(running):
                child.pass_on(stopped)
                child.show()
                code = child.process.poll()
                if code is None:
                    continue
                child.close()
                running.remove(child)
                free.append(child.slot)
                outcomes.append(settle(child.job, code))
                if not alone:
                    counts = f"{len(outcomes)} of {len(jobs)} cells done, {len(running)} running"
                    print(f"{child.job.title}: {outcomes[-1]}; {counts}", file=sys.stderr)
    return exit_code(outcomes, bool(stopped))


@dataclass
class _Child:
    job: Job
    slot: Slot
    process: subprocess.Popen[bytes]
    log: IO[bytes] | None  # None: it writes to our terminal, where it draws its progress
    prefix: str
    half: bytes = b""
    told: int = 0  # how many of the signals

    def pass_on(self, signals: Sequence[int]) -> None:
        """Sends it the stop signals that it has not got yet, those from before its start included."""
        for number in signals[self.told :]:
            self.process.send_signal(number)
        self.told = len(signals)

    def show(self) -> None:
        """Prints the lines that its log got since the last call."""
        if self.log is None:
            return
        *lines, self.half = (self.half + self.log.read()).split(b"\n")
        for line in lines:
            print(self.prefix + line.decode(errors="replace"), file=sys.stderr, flush=True)

    def close(self) -> None:
        self.show()
        if self.log:
            self.log.close()


def _start(job: Job, slot: Slot, alone: bool) -> _Child:
    environment = environment_of_cell(slot)
    if alone and sys.stderr.isatty():
        return _Child(job, slot, subprocess.Popen(job.command, env=environment), None, "")
    # A file and no pipe: a cell that outlives us must be able to write what it has to say.
    with job.log.open("ab") as output:
        log = job.log.open("rb")
        log.seek(0, os.SEEK_END)
        process = subprocess.Popen(job.command, env=environment, stdout=output, stderr=output)
    return _Child(job, slot, process, log, "" if alone else f"[{job.title}] ")
