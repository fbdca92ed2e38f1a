"""A resumed training goes on where its files end, and nothing stands in them twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.transfer.fake_engine import FakeEngine, Fault
from tests.transfer.training.test_watcher import train_until_stopped
from transfer.process.distributed import World
from transfer.recipes.resolve import load_recipe
from transfer.training.learner import Learner
from transfer.training.outcome import keep_metrics, kept_metrics
from transfer.training.saver import LOG, Saver

ALONE = World(0, 1, torch.device("cpu"))


def _learner(world: World = ALONE) -> Learner:
    cfg, engine = load_recipe("voc_c4"), FakeEngine()
    return Learner(engine, engine.build(cfg, world.device), cfg, 0, world)


def test_the_log_goes_on_behind_the_checkpoint(tmp_path: Path) -> None:
    """Lines of iterations that are done again, and one that a kill cut short, are not kept."""
    saver = Saver(tmp_path, _learner())
    assert saver.resume(8) == 0
    for iteration in range(4):
        saver.log(iteration, 1.0, 0.1, {"loss_a": 1.0})
        if iteration == 1:
            saver.save(2)
    with (tmp_path / LOG).open("a") as file:
        file.write('{"iteration": 0, "total')
    again = Saver(tmp_path, _learner())
    assert again.resume(8) == 2
    again.log(2, 0.5, 0.1, {"loss_a": 0.5})
    entries = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [entry["iteration"] for entry in entries] == [0, 1, 2]
    assert list(entries[-1]) == ["iteration", "total_loss", "lr", "time_s", "loss_a"]


def test_the_state_and_the_time_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("transfer.training.saver.time.monotonic", lambda: now[0])
    learner = _learner()
    saver = Saver(tmp_path, learner)
    saver.resume(8)
    learner.model.weight.data.fill_(3.0)  # type: ignore[union-attr, operator]
    now[0] += 50
    saver.save(5)
    now[0] = 7.0  # another process, another clock
    other = _learner()
    again = Saver(tmp_path, other)
    assert again.resume(8) == 5
    assert float(other.model.weight.detach()) == 3.0  # type: ignore[arg-type]
    now[0] += 2
    assert again.seconds == 52


def test_only_the_main_process_writes(tmp_path: Path) -> None:
    learner = _learner()
    learner.world = World(1, 2, torch.device("cpu"))
    saver = Saver(tmp_path, learner)
    assert saver.resume(8) == 0
    saver.log(0, 1.0, 0.1, {})
    saver.save(1)
    assert list(tmp_path.iterdir()) == []


def test_metrics_of_a_training_that_begins_again_are_forgotten(tmp_path: Path) -> None:
    """Its checkpoints are gone: whatever stops it now, those numbers are not its own."""
    keep_metrics(tmp_path, {"bbox": {"AP": 1.0}})
    assert "iteration 3" in train_until_stopped(ALONE, Fault("loss", 3), tmp_path)
    assert kept_metrics(tmp_path) is None
    assert train_until_stopped(ALONE, None, tmp_path) == ""
    keep_metrics(tmp_path, {"bbox": {"AP": 1.0}})
    assert train_until_stopped(ALONE, None, tmp_path) == "", "there is nothing left to train"
    assert kept_metrics(tmp_path) == {"bbox": {"AP": 1.0}}
