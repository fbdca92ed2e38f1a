"""Directories of fabricated records with all that lies beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from results.bundle.publish import publish
from results.run_files import vouched_per_image
from results.store import save_record
from tests.results.conftest import build_record
from transfer.evaluation.per_image import FILE, Outcomes, save_outcomes

Make = Callable[..., Path]


def make_runs(root: Path, engine: str = "torchvision", trials: int = 2) -> Path:
    """Two rows of one engine; each cell has a log, classes, outcomes by image, predictions and a network."""
    for init in ("moco", "random"):
        for trial in range(trials):
            record = build_record(init, trial, 55.0 + trial, engine=engine)
            record["engine"]["name"] = engine
            cell = root / "cells" / "voc_c4" / f"{init}-{record['id']}"
            (cell / "predictions" / "masks").mkdir(parents=True)
            (cell / "predictions" / "comp4_det_test_traffic light.txt").write_text(f"1 0.5 1 {trial} 3 4\n")
            (cell / "predictions" / "masks" / "größe.png").write_bytes(b"\x89PNG" + bytes([trial] * 50))
            (cell / "log.jsonl").write_text('{"iteration": 1, "total_loss": 0.5}\n')
            (cell / "per_class.json").write_text('{"bbox": {"AP50": {"dog": 71.2}}}')
            (cell / "model_final.pth").write_text("gigabytes")
            (cell / "samples.png").write_text("a picture of somebody")
            labels = np.arange(4) % 2
            arrays = {"x.label": labels, "x.predicted": labels[::-1], "x.score": np.ones(4)}
            save_outcomes(
                Outcomes(list("abcd"), {"x/top1": {"kind": "right", "of": "x"}}, arrays), cell / FILE
            )
            save_record(record | vouched_per_image(cell), root)
    return root


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Four cells of the embedded engine."""
    return make_runs(tmp_path / "runs")


@pytest.fixture
def bundle(runs: Path, tmp_path: Path) -> Path:
    """Their bundle, a folder."""
    list(publish(runs, tmp_path / "bundle"))
    return tmp_path / "bundle"


def sealed(bundle: Path) -> str:
    """The hash over all."""
    return str(json.loads((bundle / "index.json").read_bytes())["sha256"])
