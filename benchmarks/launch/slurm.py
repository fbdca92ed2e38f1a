"""Runs cells on a Slurm cluster, through submitit: an array of jobs, one cell each, watched until all end.

What is known of a cell is in its record, never in a job's exit state: clusters without accounting forget
those. Jobs that are stopped by a time limit or preempted save their state, are queued again and go on.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from boltons.strutils import cardinalize

from benchmarks.errors import UsageError
from benchmarks.launch import child
from benchmarks.launch.job import Job, environment_of_cell, exit_code, finished, read_job, settle
from benchmarks.launch.slurm_options import ARRAY, Options, sbatch_parameters
from benchmarks.launch.slurm_queue import add_processes, batches, in_queue, new_batch

POLL_S = (1.0, 15.0)  # between two looks at the queue: at first, and when nothing changes
SAY_EVERY_S = 60.0


class CellJob:
    """A job's work: it runs a cell in a process of its own, and is there to tell when that crashes.

    Submitit keeps it pickled in the queue, by the name of this module.
    """

    def __init__(self, path: str):
        self.path = path
        self.child: subprocess.Popen[bytes] | None = None

    def __call__(self) -> str:
        job = read_job(Path(self.path))
        with job.log.open("ab") as log:
            self.child = subprocess.Popen(job.command, env=environment_of_cell({}), stdout=log, stderr=log)
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        self._wait()
        return settle(job, self.child.wait())

    def checkpoint(self) -> Any:
        """Lets the cell save its state; returns what goes on. Submitit calls it before a job must go."""
        from submitit.helpers import DelayedSubmission

        self._stop()
        self._wait()
        return DelayedSubmission(CellJob(self.path))

    def _stop(self) -> None:
        if self.child:
            self.child.terminate()

    def _wait(self) -> None:
        # Popen.wait holds a lock, and a signal handler that comes meanwhile waits for the same child
        if self.child:
            os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOWAIT)


def run_slurm(jobs: Sequence[Job], options: Options, output: Path) -> int:
    """Submits the jobs that are not queued yet and waits for all; returns the exit code of the whole.

    A call that is stopped or killed leaves the jobs alone; the same call watches them again.
    """
    check_cluster(options)
    directory = output.absolute() / "slurm"
    queued = in_queue(directory, options.cluster)
    if queued is None:
        raise UsageError("--launcher slurm: squeue does not answer; is the cluster up? sinfo tells")
    # the records behind the queue: whoever left the queue meanwhile has written its record before
    fresh = [job for job in jobs if str(job.path) not in queued and not finished(job)]
    if len(fresh) < len(jobs):
        print(f"queued or running already: {len(jobs) - len(fresh)} of {len(jobs)}", file=sys.stderr)
    for start in range(0, len(fresh), ARRAY):
        submit(fresh[start : start + ARRAY], options, directory)
    try:
        return watch(jobs, lambda: in_queue(directory, options.cluster))
    except KeyboardInterrupt:
        names = " ".join(batch["name"] for batch in batches(directory))
        print(f"the jobs go on; the same command watches them; scancel -n {names} ends them", file=sys.stderr)
        return 130


def submit(jobs: Sequence[Job], options: Options, directory: Path) -> None:
    """Hands the cells over as one array; UsageError with sbatch's words if it refuses."""
    import submitit
    from submitit.core.utils import FailedJobError

    name = f"moco-transfer-{secrets.token_hex(4)}"
    file = new_batch(directory, name, [str(job.path) for job in jobs])
    logs = directory / "logs"
    executor: Any
    if options.cluster == "local":
        executor = submitit.LocalExecutor(folder=logs / "%j")
        executor.update_parameters(timeout_min=options.minutes, gpus_per_node=options.gpus)
    else:
        executor = submitit.SlurmExecutor(folder=logs / "%A", max_num_timeout=1000)
        executor.update_parameters(**sbatch_parameters(options, name))
    try:
        with _on_path(), executor.batch():
            submitted = [executor.submit(CellJob(str(job.path))) for job in jobs]
    except (FailedJobError, subprocess.CalledProcessError, OSError) as error:
        file.unlink()
        says = [line for line in str(error).splitlines() if line.strip()]
        raise UsageError(f"--launcher slurm: not submitted: {says[-1] if says else error}") from None
    if options.cluster == "local":
        add_processes(file, [int(job.job_id) for job in submitted])
    count = f"{len(jobs)} {cardinalize('job', len(jobs))}"
    print(f"submitted {count} as {name}; logs are under {logs}", file=sys.stderr)


def watch(jobs: Sequence[Job], look: Callable[[], dict[str, str] | None]) -> int:
    """Waits until no job is left, saying how far they are; returns the exit code of the whole.

    `look` gives job file -> state of the queue, None where nobody answers.
    """
    outcomes: dict[Path, str] = {}
    absent: Counter[Path] = Counter()
    said, said_at, pause = "", 0.0, POLL_S[0]
    while len(outcomes) < len(jobs):
        states = look()
        for job in jobs if states is not None else ():
            if job.path in outcomes:
                continue
            absent[job.path] = 0 if str(job.path) in (states or ()) else absent[job.path] + 1
            if absent[job.path] > 1:  # once may be between two states of the same job
                outcomes[job.path] = settle(job, None)
                print(f"{job.title}: {outcomes[job.path]}", file=sys.stderr)
        line = _line(jobs, outcomes, states)
        if line != said or time.monotonic() - said_at > SAY_EVERY_S:
            pause = POLL_S[0] if line != said else pause
            said, said_at = line, time.monotonic()
            print(line, file=sys.stderr, flush=True)
        if len(outcomes) < len(jobs):
            time.sleep(pause)
            pause = min(pause * 1.3, POLL_S[1])
    return exit_code(outcomes.values(), stopped=False)


def _line(jobs: Sequence[Job], outcomes: dict[Path, str], states: dict[str, str] | None) -> str:
    if states is None:
        return "squeue does not answer; looking again"
    counts = Counter(states[str(job.path)].lower() for job in jobs if str(job.path) in states)
    return f"{len(outcomes)} of {len(jobs)} cells done" + "".join(f", {n} {s}" for s, n in counts.items())


def check_cluster(options: Options) -> None:
    """Refuses what this machine cannot submit, before anything is written."""
    try:
        import submitit  # noqa: F401
    except ImportError:
        raise UsageError("--launcher slurm needs submitit; pip install -e '.[slurm]'") from None
    if options.cluster == "slurm" and not shutil.which("sbatch"):
        raise UsageError("--launcher slurm: no sbatch here; start it where jobs are submitted from")


@contextlib.contextmanager
def _on_path() -> Any:
    """Puts our packages on PYTHONPATH, for a job of this machine that is unpickled."""
    before = os.environ.get("PYTHONPATH")
    os.environ.update(child.environment())
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH", None)
        os.environ.update({} if before is None else {"PYTHONPATH": before})
