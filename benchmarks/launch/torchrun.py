"""Runs one grid on several machines: `torchrun --nnodes 2 --nproc-per-node 8 benchmarks/run.py ...` on each.

Rank 0 plans and tells the others over torchrun's store which cell comes next. Every rank then starts its own
process of the cell, and these form a process group of their own at a fresh port: so a cell that crashes takes
no other with it. Only rank 0 writes records. The output folder and the data have the same paths everywhere.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch.distributed as dist

from benchmarks.launch.job import Job, environment_of_cell, exit_code, settle
from transfer.process.distributed import Member
from transfer.process.signals import collected

POLL_S = 0.2
GRACE_S = 15  # between the end of one process of a cell and the end of those that still wait for it
OVER = "over"


@dataclass(frozen=True)
class Team:
    """This rank's place among the launchers, and the store over which rank 0 speaks to the others."""

    place: Member
    store: dist.Store

    def next_cell(self, number: int) -> tuple[str, int] | None:
        """Waits for rank 0; returns (job file, port) of its cell `number`, None when there are no more."""
        while not self.store.check([f"cell/{number}"]):
            if self.store.check([OVER]):
                return None
            time.sleep(POLL_S)
        path, port = json.loads(self.store.get(f"cell/{number}"))
        return path, port


def join(place: Member) -> Team:
    """Connects this rank to the others: over torchrun's own store, under keys apart from its own."""
    store, _, _ = next(dist.rendezvous("env://"))
    return Team(place, dist.PrefixStore("benchmarks", store))


def run_team(jobs: Sequence[Job], team: Team) -> int:
    """Runs the jobs one after the other on all ranks, as rank 0; returns the exit code of the whole."""
    outcomes: list[str] = []
    with collected() as stopped:
        for place, job in enumerate(jobs, 1):
            if stopped:
                break
            print(f"cell {place}/{len(jobs)}: {job.title}", file=sys.stderr)
            port, number = _free_port(), team.store.add("cells", 1) - 1  # candidates came before trials
            team.store.set(f"cell/{number}", json.dumps([str(job.path), port]))
            outcomes.append(settle(job, _take_part(team, number, str(job.path), port, stopped)))
    return exit_code(outcomes, bool(stopped))


def dismiss(team: Team) -> None:
    """Lets the other ranks go; rank 0 calls it whatever happened."""
    team.store.set(OVER, "")


def follow(team: Team) -> int:
    """Takes part in the cells that rank 0 names, as any other rank; how they ended is rank 0's to say."""
    with collected() as stopped:
        number = 0
        while not stopped and (cell := team.next_cell(number)) is not None:
            _take_part(team, number, *cell, stopped)
            number += 1
    return 0


def _take_part(team: Team, number: int, path: str, port: int, stopped: list[int]) -> int:
    """Runs this rank's process of one cell; returns its exit code. Where one ended badly, none waits long."""
    ended = f"ended/{number}"
    # It inherits the rest of its place. Torchrun's store is the launchers', so a cell makes its own.
    extra = {"MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "False"}
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.cell", path], env=environment_of_cell(extra), cwd=Path.cwd()
    )
    told, deadline = 0, float("inf")
    while (code := child.poll()) is None:
        time.sleep(POLL_S)
        for number_of_signal in stopped[told:]:
            child.send_signal(number_of_signal)
        told = len(stopped)
        if deadline == float("inf") and team.store.check([ended]):
            deadline = time.monotonic() + GRACE_S
        if time.monotonic() > deadline:
            child.kill()
    if code != 0 or team.place.rank == 0:
        team.store.set(ended, "")
    return code


def _free_port() -> int:
    """A port of this machine, where the processes of the next cell meet rank 0's."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
