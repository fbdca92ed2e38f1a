"""A run tells its number format where that is not the recipe's; one that only tests tells none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import NARROW
from transfer.datasets.registry import load_dataset
from transfer.process.distributed import World
from transfer.recipes.resolve import RANDOM_MANIFEST, apply_manifest, load_recipe
from transfer.run import RunRequest, run

WORLD = World(0, 1, torch.device("cpu"))
KEYS: list[tuple[str, Any]] = [
    *(("INPUT.MIN_SIZE_TRAIN", [64]), ("INPUT.MIN_SIZE_TEST", 64), ("SOLVER.AMP.ENABLED", True)),
    *(("SOLVER.MAX_ITER", 1), ("SOLVER.IMS_PER_BATCH", 1), ("TEST.PRECISE_BN.ENABLED", False)),
    *(("MODEL.RPN.POST_NMS_TOPK_TRAIN", 8), ("MODEL.RPN.POST_NMS_TOPK_TEST", 8)),
    ("DATALOADER.NUM_WORKERS", 0),
]


def _outcome(devkit: Path, directory: Path, model: Any = None) -> dict[str, Any]:
    cfg = apply_manifest(load_recipe("voc_c4", KEYS), RANDOM_MANIFEST | NARROW)
    request = RunRequest(cfg, "torchvision", 0, "random", str(directory), model=model)
    training = [load_dataset(name, devkit) for name in cfg.DATASETS.TRAIN]
    return run(WORLD, request, None, training, load_dataset("voc_2007_test", devkit))


@pytest.mark.parametrize("computes", [False, True])
def test_the_outcome_says_it_and_so_does_a_line(
    computes: bool,
    devkit: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("transfer.training.precision.computes_bfloat16", lambda: computes)
    outcome = _outcome(devkit, tmp_path)
    assert outcome.get("precision") == (None if computes else "float32")
    assert ("SOLVER.AMP: trains in float32" in capfd.readouterr().err) is not computes
    weights = torch.load(tmp_path / "model_final.pth", weights_only=True)["model"]
    (tmp_path / "again").mkdir()
    again = _outcome(devkit, tmp_path / "again", {name: value.numpy() for name, value in weights.items()})
    assert "precision" not in again, "nothing was trained"
