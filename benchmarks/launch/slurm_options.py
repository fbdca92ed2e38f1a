"""Reads the options of a Slurm job from the command line, and words them as submitit gives them to sbatch."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from typing import Any

from benchmarks.errors import UsageError
from benchmarks.launch import child
from benchmarks.launch.slurm_time import minutes

ARRAY = 1000  # Slurm's default MaxArraySize allows no more


@dataclass(frozen=True)
class Options:
    """The wishes of a job to its cluster."""

    cluster: str = "slurm"  # or "local", submitit's processes on this machine
    partition: str | None = None
    account: str | None = None
    minutes: int = 24 * 60
    gpus: int = 0
    cpus: int | None = None
    at_once: int | None = None
    extra: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, args: argparse.Namespace) -> Options:
        """Reads them from the command line; UsageError for what cannot be meant."""
        pairs = [text.partition("=") for text in args.sbatch]
        for key, equals, _ in pairs:
            if not equals or key.startswith("-"):
                raise UsageError(f"--sbatch {key}: expected KEY=VALUE, as in mem=64G or constraint=a100")
        return cls(
            cluster=args.cluster,
            partition=args.partition,
            account=args.account,
            minutes=minutes(args.time) if args.time else cls.minutes,
            gpus=0 if args.device == "cpu" else args.num_gpus,
            cpus=args.cpus_per_cell,
            at_once=args.jobs,
            extra=tuple((key, value) for key, _, value in pairs),
        )


def sbatch_parameters(options: Options, name: str) -> dict[str, Any]:
    """The parameters of submitit's SlurmExecutor for an array of that name."""
    delay = min(120, options.minutes * 20)  # seconds before the limit at which a job is told to save
    wanted: dict[str, Any] = {
        "job_name": name,
        "time": options.minutes,
        "nodes": 1,
        "ntasks_per_node": 1,
        "signal_delay_s": delay,
        "array_parallelism": options.at_once or ARRAY,
        "stderr_to_stdout": True,
        "setup": [
            f"export PYTHONPATH={shlex.quote(path)}${{PYTHONPATH:+:$PYTHONPATH}}" for path in child.own_path()
        ],
        "additional_parameters": {"requeue": True, **dict(options.extra)},
        "partition": options.partition,
        "account": options.account,
        "cpus_per_task": options.cpus,
        "gpus_per_node": options.gpus or None,
    }
    return {key: value for key, value in wanted.items() if value is not None}
