"""Every kind of bad number stops a run at its iteration, by its name, with the last good checkpoint kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from tests.transfer.fake_engine import FakeEngine, Fault, fake_batches, fake_sample
from transfer.errors import TransferError
from transfer.process.distributed import World, launch
from transfer.recipes.resolve import load_recipe
from transfer.training.checkpoint import load_checkpoint
from transfer.training.learner import Learner
from transfer.training.loop import train
from transfer.training.saver import Saver
from transfer.training.watcher import Watcher

CPU = torch.device("cpu")


def train_until_stopped(world: World, fault: Fault | None, directory: Path, period: int = 1) -> str:
    """Why the run stopped on this process; empty where nothing stopped it."""
    overrides = [
        *(("SOLVER.MAX_ITER", 6), ("SOLVER.CHECKPOINT_PERIOD", period)),
        *(("SOLVER.BASE_LR", 0.1), ("SOLVER.IMS_PER_BATCH", 4)),
    ]
    cfg = load_recipe("voc_c4", overrides)
    torch.manual_seed(0)
    saved = load_checkpoint(directory)
    engine = FakeEngine(fault, world.rank, saved.iteration if saved else 0)
    learner = Learner(engine, engine.build(cfg, CPU), cfg, 0, world)
    try:
        train(cfg, learner, fake_batches(world, fault), Saver(directory, learner), Watcher(learner))
    except (FloatingPointError, TransferError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.parametrize("iteration", [0, 3, 5])
@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("input", "input not finite: boxes of image image{image}; repair the annotation"),
        ("loss", "loss_a = nan not finite; lower SOLVER.BASE_LR"),
        ("gradient", "gradient of weight not finite; lower SOLVER.BASE_LR"),
        ("nan gradient", "gradient of weight not finite; lower SOLVER.BASE_LR"),
        ("weight", "weight weight not finite; lower SOLVER.BASE_LR"),
        ("forward", "predicted boxes contain NaN; lower SOLVER.BASE_LR"),
        ("memory", "out of GPU memory (Tried to allocate 2.00 GiB); lower SOLVER.IMS_PER_BATCH"),
    ],
)
def test_each_fault_stops_at_its_iteration_and_keeps_the_last_good_state(
    what: str, told: str, iteration: int, tmp_path: Path
) -> None:
    stopped = train_until_stopped(World(0, 1, CPU), Fault(what, iteration), tmp_path)
    assert f"iteration {iteration}: {told.format(image=2 * iteration + 1)}" in stopped
    assert "\n" not in stopped
    saved = load_checkpoint(tmp_path)
    if iteration == 0:
        assert saved is None
    else:
        assert saved is not None
        assert saved.iteration == iteration
        assert all(tensor.isfinite().all() for tensor in saved.content["model"].values())
    assert train_until_stopped(World(0, 1, CPU), None, tmp_path) == "", "it goes on from the last good state"


def test_broken_weights_are_found_before_a_save_and_by_the_next_step(tmp_path: Path) -> None:
    stopped = train_until_stopped(World(0, 1, CPU), Fault("weight", 1), tmp_path, period=100)
    assert "iteration 2: weight weight not finite" in stopped, "no save looked, the next step did"
    assert load_checkpoint(tmp_path) is None


FAULTS = ("input", "loss", "gradient", "weight", "none")


def _every_fault(world: World, directory: Path) -> dict[str, list[str]]:
    """Fault -> what each process said; only rank 1 has it."""
    found = {}
    for what in FAULTS:
        told: list[Any] = [None] * world.size
        dist.all_gather_object(told, train_until_stopped(world, Fault(what, 2, rank=1), directory / what))
        found[what] = told
    return found


@pytest.mark.usefixtures("forked_processes")
def test_all_processes_stop_together_whoever_has_the_fault(tmp_path: Path) -> None:
    """None hangs, and all say the same; without a fault the log holds the mean over the processes."""
    found = launch(_every_fault, 2, CPU, tmp_path)
    assert found["none"] == ["", ""]
    for what in FAULTS[:-1]:
        mine, other = found[what]
        assert mine == other
        assert "iteration 2: " in mine
        assert ("(process 1)" in mine) == (what in ("input", "loss", "weight")), "gradients are shared"
        saved = load_checkpoint(tmp_path / what)
        assert saved is not None
        assert saved.iteration == 2
    entries = [json.loads(line) for line in (tmp_path / "none" / "log.jsonl").read_text().splitlines()]
    assert [entry["iteration"] for entry in entries] == [0, 5]
    torch.manual_seed(0)
    model = FakeEngine().build(load_recipe("voc_c4"), CPU)
    joined = FakeEngine().losses(model, [fake_sample(i) for i in range(4)])
    assert entries[0]["loss_a"] == pytest.approx(joined["loss_a"].item(), rel=1e-6)
