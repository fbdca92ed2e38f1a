"""Runs one cell and completes its record: `python -m benchmarks.cell JOB.json`, a process of its own.

It may be started by anybody, and often: a lock lets one process at a time have the cell, and a cell that is
finished is not run again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

from benchmarks.launch.inputs import inputs_of
from benchmarks.launch.job import BUSY, ELSEWHERE, ERRORS, GOES_ON, LOCK, title_of
from benchmarks.planning.environment import environment
from converters.backbone import CheckpointError
from converters.options import visible
from converters.trackers import Run, Trackers, tracking
from results.errors import RecordError
from results.record import flat_metrics
from results.run_files import vouched_per_image
from results.store import find_record, save_record
from transfer.errors import Interrupted, TransferError
from transfer.process.causes import tell
from transfer.process.deterministic import ask_for_deterministic, refusal_named
from transfer.process.disk import is_full, writing
from transfer.process.distributed import World, launch, leave, member, pick_device
from transfer.process.memory import keep_freed_memory
from transfer.recipes.resolve import unflatten
from transfer.run import RunRequest
from transfer.training.checkpoint import remove_checkpoints
from transfer.training.outcome import FILE as METRICS
from transfer.training.outcome import forget_metrics, kept_metrics

Told = tuple[Trackers, Run]
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def main(path: str) -> int:
    """Runs the cell of the job file `path`, or takes part in it; returns the exit code.

    0 finished, 1 failed, 2 bad input, 74 the disk or what comes after the numbers failed, 75 another process
    has it, 76 another process finished it, 143 stopped by a signal with its state saved.
    """
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    place = member()
    if place is not None and place.rank > 0:
        return _follow(content)
    record, output = content["record"], Path(content["output"])
    lock = Path(path).with_name(LOCK).open("w")
    if not _acquire(lock):
        return BUSY  # said by who started this: the log is that of the process that has the cell
    before = find_record(output, record["suite"], record["id"])
    if before and before["status"] == "finished" and before.get("finished_at") != content["replaces"]:
        return ELSEWHERE
    _stop_with_parent()
    directory = Path(content["directory"])
    try:
        if content["from_start"] and before and before["status"] in ("finished", "failed"):
            remove_checkpoints(directory)
            forget_metrics(directory)
        with writing(output):
            save_record(record, output)  # it says `running`
        outcome = _run(content)
        with writing(output):
            save_record(record | outcome, output)
    except (Interrupted, KeyboardInterrupt) as stop:  # the second anywhere but in training, which saves first
        save_record(record | {"status": "interrupted"}, output)
        where = str(stop) or "by Ctrl-C, outside training"
        print(f"stopped: {where}; the same command goes on from there", file=sys.stderr)
        return 143
    except Exception as error:  # whatever it was, the record must tell
        return _give_up(error, record, output, directory)
    remove_checkpoints(directory)  # only now is nothing lost by it
    forget_metrics(directory)
    return 0


def _give_up(error: Exception, record: dict[str, Any], output: Path, directory: Path) -> int:
    """Says and records why a cell ended, with the numbers where it has some already.

    A cell with numbers, or one that only lacks room, is not failed but interrupted: the same command goes on,
    from the last checkpoint.
    """
    metrics = kept_metrics(directory)
    goes_on = metrics is not None or is_full(error)
    line, told = _line(error), _told(error)
    if metrics is not None:
        numbers = flat_metrics({"metrics": metrics})
        says = ", ".join(f"{n} {'undefined' if v is None else f'{v:.2f}'}" for n, v in numbers.items())
        kept = f"; its numbers are kept in {directory / METRICS} ({says}); the same command goes on without "
        line, told = f"{line}{kept}training", f"{told}{kept}training"
    print(f"error: {title_of(record)}: {line}", file=sys.stderr)
    status = "interrupted" if goes_on else "failed"
    # A full disk stays full; the line above has said it.
    with contextlib.suppress(OSError, RecordError):
        save_record(record | {"status": status, "error": told, "metrics": metrics or {}}, output)
    if goes_on:
        return GOES_ON
    return 2 if isinstance(error, TransferError | CheckpointError | OSError) else 1


def _follow(content: dict[str, Any]) -> int:
    """Takes part in a cell whose lock and record are those of rank 0, on another machine maybe."""
    _stop_with_parent()
    try:
        _run(content)
    except (Interrupted, KeyboardInterrupt):
        return 143
    except Exception as error:
        tell(error, Path(content["directory"]) / ERRORS, int(os.environ["RANK"]))  # before the meeting, too
        print(f"error: process {os.environ['RANK']}: {_line(error)}", file=sys.stderr)
        return 1
    return 0


def _acquire(lock: IO[str]) -> bool:
    """Takes the cell for this process; the one that has it gets a minute to save and go.

    False where it stays. On a file system without locks there is nothing to take.
    """
    deadline = time.monotonic() + 60
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return True


def _stop_with_parent() -> None:
    """Ends this process with its parent: it must not go on unseen beside the one that takes its place."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _run(content: dict[str, Any]) -> dict[str, Any]:
    """Runs the cell in its processes; returns the fields that a finished record adds."""
    import torch

    record = content["record"]
    place = member()
    device = pick_device(content["device"], place.local_size if place else content["num_processes"])
    cfg = unflatten(record["recipe"])
    arguments = inputs_of(content, cfg, place)
    errors = Path(content["directory"]) / ERRORS
    told = _told_of(content)
    outcome = launch(_run_request, content["num_processes"], device, told, *arguments, errors=errors)
    account = outcome.pop("account")
    return outcome | {
        **vouched_per_image(Path(content["directory"])),
        "status": "finished",
        "init_account": account,
        "environment": environment(
            torch.cuda.get_device_name(device) if device.type == "cuda" else None,
            torch.get_num_threads(),
            Path(content["output"]),
        ),
        "finished_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _told_of(content: dict[str, Any]) -> Told:
    """The trackers of the cell's job, and how they know it: one run a cell."""
    record = content["record"]
    about = {name: record[name] for name in ("id", "suite", "init", "trial", "seed", "engine")}
    optional = ("truncated", "evaluated", "checkpoints", "not_comparable_because")
    about |= {name: record.get(name) for name in optional}
    output = Path(content["output"])
    run = Run(Path(content["directory"]), output.name, title_of(record), about | record["recipe"])
    return Trackers(**content.get("trackers", {})), run


def _run_request(
    world: World, told: Told, run: Callable[..., Any], request: RunRequest, *arguments: Any
) -> dict[str, Any]:
    """Runs the request in one of its processes, which does nothing else; the main one tells the trackers."""
    if world.device.type == "cpu":
        keep_freed_memory()
    if request.deterministic:
        ask_for_deterministic()
    wanted, cell = told
    with refusal_named(), tracking(wanted, cell if world.main else None, _warn) as trackers:
        outcome: dict[str, Any] = run(world, replace(request, trackers=trackers), *arguments)
        metrics = {name: value for name, value in flat_metrics(outcome).items() if value is not None}
        for tracker in trackers:
            tracker.log(metrics, cell.config.get("SOLVER.MAX_ITER", 0))  # a probe has no iterations
        return outcome


def _warn(line: str) -> None:
    print(f"warning: {visible(line)}", file=sys.stderr, flush=True)


def _line(error: BaseException) -> str:
    text = str(error).strip()
    return f"{text.splitlines()[-1]}" if text else type(error).__name__


def _told(error: BaseException) -> str:
    if isinstance(error, TransferError | CheckpointError | RecordError):
        return str(error)
    return f"{_line(error)}\n{''.join(traceback.format_exception(error))}"


if __name__ == "__main__":
    leave(main(sys.argv[1]))
