"""Two processes score as one: the main one alone, once; the other holds nothing while it waits."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import transfer.run
from tests.transfer.fake_engine import FakeEngine
from transfer.datasets.base import Dataset
from transfer.datasets.registry import load_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.errors import DataError
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.scores import Scores
from transfer.process.distributed import World, launch
from transfer.process.gather import cpu_group, gather, share
from transfer.recipes.resolve import load_recipe
from transfer.samples.sample import Sample

CPU = torch.device("cpu")
IMAGES = 5  # the last round is not full


class _Engine(FakeEngine):
    """Finds half of what is there, shifted, and inventions; builds every prediction anew."""

    def __init__(self, data: Dataset):
        super().__init__()
        self.truth = {r["image_id"]: r["annotations"] for r in data.records}

    def predict(self, model: nn.Module, batch: Sequence[Sample]) -> list[Prediction]:
        return [self._prediction(str(sample.image_id)) for sample in batch]

    def _prediction(self, image_id: str) -> Prediction:
        rng = np.random.RandomState(int(image_id))
        objects = [a for a in self.truth[image_id] if rng.rand() < 0.7]
        corner = rng.uniform(0, 30, (4, 2))
        boxes = [np.array(a["bbox"]) + rng.uniform(-2, 2, 4) for a in objects]
        boxes += list(np.concatenate([corner, corner + rng.uniform(8, 34, (4, 2))], 1))
        classes = [a["category_id"] for a in objects] + rng.randint(0, 20, 4).tolist()
        scores = rng.rand(len(boxes)).astype(np.float32)
        return Prediction(image_id, np.array(boxes, np.float32), scores, np.array(classes))


def _run(world: World, root: Path, directory: Path) -> dict[str, Any]:
    """The real run without its training; notes how often this process scored, and what it held then."""
    seen: dict[str, Any] = {"scored": 0, "held": None}
    evaluate, told = transfer.run.evaluate, transfer.run.share

    def counted(*arguments: Any) -> Any:
        seen["scored"] += 1
        return evaluate(*arguments)

    def looked(*arguments: Any) -> Any:
        seen["held"] = sum(type(o) is Prediction for o in gc.get_objects())
        return told(*arguments)

    patches = {"evaluate": counted, "share": looked, "load_engine": lambda _: _Engine(_data(root))}
    patches["_train"] = lambda *_: (0.5, None)
    before = {name: getattr(transfer.run, name) for name in patches}
    for name, value in patches.items():
        setattr(transfer.run, name, value)
    try:
        outcome = transfer.run.run(world, _request(directory), None, [_data(root)], _data(root))
    finally:
        for name, value in before.items():
            setattr(transfer.run, name, value)
    seen["metrics"] = outcome["metrics"]
    (directory / f"rank{world.rank}.json").write_text(json.dumps(seen))
    return outcome


def _data(root: Path) -> Dataset:
    return load_dataset("voc_2007_test", root)


def _request(directory: Path) -> transfer.run.RunRequest:
    overrides = [
        ("TEST.PRECISE_BN.ENABLED", False),
        ("INPUT.MIN_SIZE_TEST", 64),
        ("DATALOADER.NUM_WORKERS", 0),
    ]
    recipe = load_recipe("voc_c4", overrides)
    return transfer.run.RunRequest(recipe, "fake", 0, "random", str(directory))


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kit")
    make_synthetic(["voc_2007_test"], root, train_images=2, test_images=IMAGES, image_size=64)
    return root


def test_two_processes_score_as_one_does(kit: Path, tmp_path: Path) -> None:
    outcomes, notes = [], []
    for size in (1, 2):
        directory = tmp_path / str(size)
        directory.mkdir()
        outcomes.append(launch(_run, size, CPU, kit, directory))
        notes.append([json.loads((directory / f"rank{rank}.json").read_text()) for rank in range(size)])
    assert outcomes[0]["metrics"] == outcomes[1]["metrics"]
    assert 0 < outcomes[0]["metrics"]["bbox"]["AP50"] < 100
    assert [n["scored"] for n in notes[1]] == [1, 0]
    assert [n["metrics"] for n in notes[1]] == [outcomes[0]["metrics"]] * 2
    assert [n["held"] for n in notes[1]] == [IMAGES, 0]
    for file in ("per_class.json", "per_image.npz", "tide.json", "predictions/comp4_det_test_person.txt"):
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes()
    assert (tmp_path / "2" / "samples.png").is_file()
    assert outcomes[1]["durations_s"].keys() == {"train", "predict", "evaluate"}


def test_undefined_numbers_are_null(kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON has no NaN."""
    nan = float("nan")
    scores = Scores({"bbox": {"AP": 1.5, "APs": nan}}, {"bbox": {"AP": {"cat": nan, "dog": 2.5}}})
    monkeypatch.setattr(transfer.run, "evaluate", lambda *_: scores)
    outcome = launch(_run, 1, CPU, kit, tmp_path)
    assert outcome["metrics"] == {"bbox": {"AP": 1.5, "APs": None}}
    per_class = json.loads((tmp_path / "per_class.json").read_text())
    assert per_class == {"bbox": {"AP": {"cat": None, "dog": 2.5}}}


def _gathered(world: World, directory: Path) -> Any:
    group = cpu_group(world)
    found = []
    for total in (7, 2):  # two full rounds and a last one; fewer items than processes
        mine = list(range(total))[world.rank :: world.size]
        found.append((gather(mine, total, world, group), len(mine)))
    (directory / f"{world.rank}").write_text(json.dumps(found))
    limit = group._get_backend(CPU).options._timeout
    return share([whole for whole, _ in found] if world.main else None, world, group), limit.total_seconds()


@pytest.mark.usefixtures("forked_processes")
def test_items_come_in_their_order_and_leave_the_others(tmp_path: Path) -> None:
    found, seconds = launch(_gathered, 3, CPU, tmp_path)
    assert found == [list(range(7)), list(range(2))]
    assert seconds >= 12 * 3600  # the others wait for as long as the main process scores
    for rank in (1, 2):
        assert json.loads((tmp_path / f"{rank}").read_text()) == [[None, 0], [None, 0]]


def test_one_process_needs_no_group() -> None:
    world = World(0, 1, CPU)
    assert cpu_group(world) is None
    assert gather([1, 2], 2, world, None) == [1, 2]
    assert share("told", world, None) == "told"


def test_a_share_of_the_wrong_size_is_refused() -> None:
    world = replace(World(0, 1, CPU), size=2)
    with pytest.raises(RuntimeError, match="process 0 has 3 of 4 items"):
        gather([1, 2, 3], 4, world, None)


def _fails_to_score(world: World, directory: Path) -> None:
    """Each process notes how it ended and ends at once, as `launch` wants it of a failed one."""
    try:
        group = cpu_group(world)
        whole = gather([world.rank], 2, world, group)
        if whole is not None:
            raise DataError("no such image in the data set")
        share(None, world, group)
    except Exception as error:
        (directory / f"{world.rank}").write_text(f"{type(error).__name__}: {error}")
        os._exit(1)


@pytest.mark.usefixtures("forked_processes")
def test_an_error_while_scoring_ends_the_waiting_processes(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        launch(_fails_to_score, 2, CPU, tmp_path)
    assert (tmp_path / "0").read_text() == "DataError: no such image in the data set"
    other = tmp_path / "1"  # seen within a moment, not after the time limit; or ended with its sibling
    assert not other.exists() or "DataError" not in other.read_text()
