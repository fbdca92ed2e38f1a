"""A study's folder as runs and `results keep` leave it, with numbers made up here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from results.evidence.keep import keep
from results.store import save_record

APS = {"random": (5.0, 5.5, 6.3, 5.2), "moco": (14.8, 15.9, 15.2, 16.1), "late": (20.1, 20.9, 21.0, 19.5)}
CHECKPOINTS = {"epoch_02": 6.0, "epoch_04": 7.5, "epoch_08": 11.0, "epoch_16": 12.0}


def save_runs(root: Path, make_record: Any) -> Path:
    """Rows over three lengths of the schedule, and checkpoints of one run in another suite."""
    for times in (1, 2, 4):
        for init, aps in APS.items():
            for trial, ap in enumerate(aps):
                record = make_record(
                    init, trial, ap + 2 * times, f"cells_x{times}", recipe_sha256=f"{times}" * 64
                )
                record["metrics"]["bbox"] |= {"APs": ap, "APm": ap + 3.0, "APl": None}
                record["recipe"] |= {"SOLVER.MAX_ITER": 100 * times, "SOLVER.STEPS": [80 * times]}
                save_record(record, root)
                save_classes(root, record, {"red": ap, "white": ap + trial, "blue": 9.0})
    for init, ap in CHECKPOINTS.items():
        for trial in range(3):
            record = make_record(
                init, trial, ap + trial / 3, "people", data_sha256="e" * 64, because=("smoke",)
            )
            save_record(record, root)
        for kind, content in (
            ("knn", {"knn": 2 * ap, "k": 20}),
            ("linear", {"top1": {"10": ap, "30": ap + 5}}),
        ):
            (root / kind).mkdir(exist_ok=True)
            (root / kind / f"{init}.json").write_text(json.dumps(content))
    return root


def save_classes(root: Path, record: dict[str, Any], values: dict[str, float]) -> None:
    cell = root / "cells" / record["suite"] / f"{record['init']}-{record['id']}"
    cell.mkdir(parents=True)
    (cell / "per_class.json").write_text(json.dumps({"bbox": {"AP": values}}))
    (cell / "samples.png").write_bytes(b"a picture that is not passed on")


@pytest.fixture
def runs(tmp_path: Path, make_record: Any) -> Path:
    return save_runs(tmp_path / "runs", make_record)


@pytest.fixture
def study(runs: Path, tmp_path: Path) -> Path:
    """The folder of a study that was kept from these runs."""
    root = tmp_path / "reference" / "cells"
    list(keep(root, [runs]))
    return root
