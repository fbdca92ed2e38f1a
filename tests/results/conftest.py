"""A record as benchmarks writes it, made in one place so that every test sees the same shape."""

from __future__ import annotations

from typing import Any

import pytest

from results.record import record_id


def build_record(
    init: str = "moco",
    trial: int = 0,
    ap: float | None = 55.0,
    suite: str = "voc_c4",
    status: str = "finished",
    metrics: dict[str, dict[str, float | None]] | None = None,
    because: tuple[str, ...] = (),
    **identity: Any,
) -> dict[str, Any]:
    """A valid record: AP = `ap`, AP50 = ap + 25 and AP75 = ap + 5; `identity` overrides identity fields."""
    finished = status == "finished"
    made = {"AP": ap, "AP50": ap + 25, "AP75": ap + 5} if ap is not None else {"AP": None}
    fields = {
        "suite": suite,
        "suite_version": 1,
        "recipe_sha256": "5" * 64,
        "backbone_sha256": f"backbone of {init}",
        "data_sha256": "d" * 64,
        "engine": "torchvision",
        "engine_version": "0.29.2",
        "seed": trial,
        **identity,
    }
    return {
        "schema": 1,
        "id": record_id(fields),
        "identity": fields,
        "suite": suite,
        "init": init,
        "trial": trial,
        "seed": fields["seed"],
        "status": status,
        "comparable": not because,
        "not_comparable_because": list(because),
        "metrics": (metrics or {"bbox": made}) if finished else {},
        "primary": "bbox/AP" if metrics is None else next(f"{t}/{m}" for t in metrics for m in metrics[t]),
        "recipe": {"SOLVER.BASE_LR": 0.02, "SOLVER.MAX_ITER": 24000, "INPUT.MIN_SIZE_TRAIN": [480, 800]},
        "overrides": [["SOLVER.MAX_ITER", "24000"]],
        "init_manifest": {"source": init, "source_sha256": "a" * 64},
        "init_account": {"set": 318, "total": 318, "fresh": ["roi_heads.res5.norm"], "dropped": []},
        "data": {
            "train": [{"name": "voc_2007_trainval", "images": 5011, "objects": 15662, "sha256": "e" * 64}]
        },
        "engine": {"name": "torchvision", "version": "0.29.2"},
        "environment": {"python": "3.11.7", "torch": "2.15.0", "gpu": None, "git_commit": "0" * 40},
        "durations_s": {"train": 100.0, "precise_bn": 1.0, "predict": 2.0, "evaluate": 0.5},
        "images_per_s": 12.5,
        "peak_memory_bytes": 10**9,
        "started_at": "2026-01-01T00:00:00Z",
        "finished_at": "2026-01-01T01:00:00Z" if finished else None,
        "error": None if finished else "RuntimeError: loss is NaN",
    }


@pytest.fixture
def make_record() -> Any:
    """The function build_record."""
    return build_record
