"""An error on one process of several reaches the caller by itself, at once, wherever it happens."""

from __future__ import annotations

import faulthandler
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

import transfer.run
from tests.conftest import NARROW, ROOT
from transfer.datasets.registry import load_dataset
from transfer.engines.choose import load_engine
from transfer.errors import DataError, DiskError, Interrupted, TransferError
from transfer.process import causes
from transfer.process.distributed import World, launch
from transfer.recipes.resolve import RANDOM_MANIFEST, apply_manifest, load_recipe
from transfer.run import RunRequest, run

CPU = torch.device("cpu")
STEPS = 6
_KEYS: list[tuple[str, Any]] = [
    *(("INPUT.MIN_SIZE_TRAIN", [64]), ("INPUT.MIN_SIZE_TEST", 64), ("SOLVER.AMP.ENABLED", False)),
    *(("SOLVER.MAX_ITER", STEPS), ("SOLVER.CHECKPOINT_PERIOD", 2), ("SOLVER.IMS_PER_BATCH", 4)),
    *(("TEST.PRECISE_BN.NUM_ITER", 3), ("DATALOADER.NUM_WORKERS", 1)),
    *(("MODEL.RPN.POST_NMS_TOPK_TRAIN", 8), ("MODEL.RPN.POST_NMS_TOPK_TEST", 8)),
]
# Place -> (kind of the error, what it says); the data's and the metric's are the product's own.
PLACES: dict[str, tuple[type[Exception], str]] = {
    "data": (DataError, "000003.jpg"),
    "training": (TransferError, "out of GPU memory (Tried to allocate 2.00 GiB)"),
    "a bug": (RuntimeError, "KeyError: 'a bug of ours'"),
    "precise BN": (TransferError, "precise BN: out of GPU memory"),
    "prediction": (TransferError, "prediction: out of GPU memory"),
    "evaluation": (DataError, "box or score is NaN or infinite"),
}


class _Faulty:
    """The embedded engine with one fault, at its `count`-th call in a place."""

    def __init__(self, place: str, count: int):
        self.engine, self.place, self.count = load_engine("torchvision"), place, count
        self.steps = self.images = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def losses(self, model: torch.nn.Module, batch: Any) -> Any:
        self.steps += 1
        if self.place == "a bug" and self.steps == self.count + 1:
            raise KeyError("a bug of ours")
        last = self.count + 1 + (STEPS if self.place == "precise BN" else 0)
        if self.place in ("training", "precise BN") and self.steps == last:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1 GiB.")
        return self.engine.losses(model, batch)

    def predict(self, model: torch.nn.Module, batch: Any) -> Any:
        if self.place == "prediction":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1 GiB.")
        found = self.engine.predict(model, batch)
        if self.place == "evaluation":
            for prediction in found:
                prediction.boxes, prediction.scores = np.full((1, 4), np.nan, np.float32), np.ones(1)
                prediction.classes = np.zeros(1, np.int64)
        return found


def _faulty_run(world: World, root: Path, directory: Path, place: str, rank: int, count: int) -> Any:
    torch.set_num_threads(1)
    cfg = apply_manifest(load_recipe("voc_c4", _KEYS), RANDOM_MANIFEST | NARROW)
    request = RunRequest(cfg, "torchvision", 0, "random", str(directory))
    training = [load_dataset(name, root) for name in cfg.DATASETS.TRAIN]
    if world.rank == rank:
        transfer.run.load_engine = lambda _: _Faulty(place, count)  # type: ignore[assignment]
    return run(world, request, None, training, load_dataset("voc_2007_test", root))


def _raised(devkit: Path, tmp_path: Path, place: str, processes: int, rank: int, count: int) -> Exception:
    root = devkit
    if place == "data":
        root = tmp_path / "data"
        shutil.copytree(devkit, root)
        path = root / "VOC2007" / "JPEGImages" / "000003.jpg"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])  # its header is whole
    with pytest.raises(Exception) as caught:  # noqa: PT011  # its type is looked at by the caller
        launch(_faulty_run, processes, CPU, root, tmp_path / "out", place, rank, count)
    return caught.value


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "processes"),
    [("data", 2), ("training", 2), ("a bug", 4), ("precise BN", 2), ("prediction", 4), ("evaluation", 2)],
)
def test_the_cause_reaches_the_caller(place: str, processes: int, devkit: Path, tmp_path: Path) -> None:
    rng = random.Random(place)
    kind, told = PLACES[place]
    error = _raised(devkit, tmp_path, place, processes, rng.randrange(processes), rng.randrange(3))
    assert type(error) is kind, error
    assert told in str(error)


def _slow_to_leave(world: World) -> None:
    """Process 1 fails, and to leave its group takes it long, as on NCCL, where it waits for the others."""
    destroy = dist.destroy_process_group
    dist.destroy_process_group = lambda *_: (time.sleep(600), destroy())  # type: ignore[assignment]
    if world.rank == 1:
        raise TransferError("the cause")
    dist.all_reduce(torch.ones(1))


@pytest.mark.usefixtures("forked_processes")
def test_nobody_waits_for_a_process_that_failed_to_leave_its_group() -> None:
    began = time.monotonic()
    with pytest.raises(TransferError, match="^the cause$"):
        launch(_slow_to_leave, 2, CPU)
    assert time.monotonic() - began < 240, "it must not wait for the end of the group"


def _killed(world: World, number: int) -> None:
    """Process 1 ends by a signal while the other waits for it."""
    if world.rank == 1:
        faulthandler.disable()  # a fork has that of pytest, which would print all threads
        os.kill(os.getpid(), number)
    dist.all_reduce(torch.ones(1))


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize(
    ("number", "kind", "told"),
    [
        (signal.SIGKILL, Interrupted, r"a process of the run was killed \(out of memory\?\)"),
        (signal.SIGABRT, RuntimeError, "Connection|SIGABRT"),
    ],
)
def test_a_killed_process_is_no_lost_connection(number: int, kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=told):
        launch(_killed, 2, CPU, number)


def _scoring(world: World, started: Path) -> None:
    """Process 0 is busy, as with scoring; the other waits for what it will say."""
    if world.rank == 0:
        started.touch()
        time.sleep(120)
    dist.all_reduce(torch.ones(1))


def test_a_stop_signal_outside_of_training_is_told_as_one(tmp_path: Path) -> None:
    """Each process dies of it by itself, and the last may see that before it dies."""
    code = (
        "import sys; from pathlib import Path; import torch\n"
        "from tests.transfer.process.test_causes import _scoring\n"
        "from transfer.process.distributed import launch\n"
        "from transfer.errors import Interrupted\n"
        "if __name__ == '__main__':\n"
        "    try: launch(_scoring, 2, torch.device('cpu'), Path(sys.argv[1]))\n"
        "    except Interrupted as error: print(error)\n"
    )
    script, started = tmp_path / "stopped.py", tmp_path / "started"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(script), str(started)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 120
    while not started.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    child.send_signal(signal.SIGTERM)
    assert child.communicate(timeout=60)[0] == "signal SIGTERM outside of training\n"


def test_the_first_error_is_the_cause_and_an_echo_never_is(tmp_path: Path) -> None:
    assert causes.cause(tmp_path) is None
    lost = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:3000")
    causes.tell(lost, tmp_path, 0)
    causes.tell(dist.DistBackendError("NCCL error in: x"), tmp_path, 1)
    assert causes.cause(tmp_path) is None, "these have only lost their neighbour"
    assert "Connection closed" in str(causes.cause(tmp_path, echoes=True))
    causes.tell(DataError("x.jpg: cannot be read"), tmp_path, 3)
    causes.tell(TransferError("later"), tmp_path, 2)
    assert type(causes.cause(tmp_path)) is DataError
    assert str(causes.cause(tmp_path, echoes=True)) == "x.jpg: cannot be read"
    (tmp_path / "9.json").write_text('{"type": "half')
    assert str(causes.cause(tmp_path)) == "x.jpg: cannot be read", "a torn file is passed over"
    causes.forget(tmp_path)
    assert causes.cause(tmp_path) is None


def test_every_kind_of_error_arrives_as_what_it_was(tmp_path: Path) -> None:
    for number, (error, kind, text) in enumerate(
        [
            (OSError(28, "No space left on device", "/x/y"), DiskError, "/x/y: No space left on device"),
            (OSError(13, "Permission denied", "/x/y"), OSError, "Permission denied: '/x/y'"),
            (DiskError("full"), DiskError, "full"),
            (Interrupted("signal SIGTERM"), Interrupted, "signal SIGTERM"),
            (FloatingPointError("iteration 3: loss not finite"), FloatingPointError, "iteration 3"),
            (KeyError("a bug"), RuntimeError, "KeyError: 'a bug'"),
        ]
    ):
        causes.tell(error, tmp_path / str(number), 0)
        arrived = causes.cause(tmp_path / str(number))
        assert type(arrived) is kind
        assert text in str(arrived)
