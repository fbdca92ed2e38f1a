"""Runs a study's steps one after the other, or shows them: each is printed, then runs as a process."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path

from benchmarks.errors import UsageError
from benchmarks.launch import child
from benchmarks.studies.plan import DEMO, SUITES, VARIABLE, Study
from benchmarks.studies.sources import absent


def show(study: Study, data: Path, prepared: Path) -> None:
    """Prints the question, the sources and whether they are there, the commands, and the hours."""
    print(f"study {study.name}: {study.question}")
    for source in study.sources:
        print(f"{'there ' if source.is_under(data) else 'ABSENT'}  {source.line()}")
    print(f"chosen: {study.chosen}")
    print(f"export {VARIABLE}={shlex.quote(str(prepared))}")
    for number, step in enumerate(study.steps, 1):
        state = "done" if step.done else f"{step.core_hours:g} core hours"
        print(f"\n# {number}/{len(study.steps)} {step.says} ({state})\n{step.line}")
    left = sum(step.core_hours for step in study.steps if not step.done)
    print(
        f"\nestimate: {left:.1f} core hours left, {left / 2:.1f} h on two cores; "
        f"from parts measured on {study.machine}"
    )


def run_steps(study: Study, data: Path, prepared: Path) -> int:
    """Runs the steps that are not done; returns 0, or the exit code of the first that failed.

    UsageError names every source that is absent, before anything runs.
    """
    missing = absent([source.folder for source in study.sources], data)
    if missing:
        for source in missing:
            print(f"absent: {source.line()}", file=sys.stderr)
        raise UsageError(
            f"{study.name}: {len(missing)} of {len(study.sources)} sources are not under {data}; "
            "put the folders named above there"
        )
    variables = child.environment({VARIABLE: str(prepared), "PYTHONWARNINGS": "ignore"})
    for number, step in enumerate(study.steps, 1):
        head = f"[{number}/{len(study.steps)}] {step.says}"
        if step.done:
            print(f"{head}: done, {step.makes} is there", flush=True)
            continue
        print(f"\n{head}\n$ {VARIABLE}={shlex.quote(str(prepared))} {step.line}", flush=True)
        code = child.run([sys.executable, *step.words], env=variables)
        if code == 0 and step.makes and not step.done:
            print(f"error: {head}: it ended well, but {step.makes} is not there", file=sys.stderr)
            return 1
        if code:
            print(f"error: {head}: {_ending(code)}; the same command goes on from here", file=sys.stderr)
            return code if code > 0 else 128 - code
    return 0


def _ending(code: int) -> str:
    """How a step ended; the cause is in the step's own last lines, unless a signal killed it."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}, for the reason in the line above"


def places(data: Path, output: Path) -> dict[str, str]:
    """The folders that the braces of a step name.

    `work` is shared by all studies beside this one: a set is prepared once, and a network trained once.
    """
    return {
        "data": str(data),
        "work": str(output.parent / "shared"),
        "output": str(output),
        "suites": os.path.relpath(SUITES),
        "demo": os.path.relpath(DEMO),
    }
