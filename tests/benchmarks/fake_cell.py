"""Cells that train nothing: what a launcher sees of a cell, in a fraction of a second."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.launch.job import Job
from results.record import record_id


@dataclass(frozen=True)
class FakeJob(Job):
    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.benchmarks.fake_process", str(self.path)]


def fake_job(output: Path, seed: int, **fake: Any) -> FakeJob:
    """Writes the job file of a fake cell.

    `fake` are `says`, `seconds` (or `until` so many cells have begun) and `end`: a status, an exit code or a
    signal by name, with which the process ends.
    """
    identity = {
        **{"suite": "voc_c4", "suite_version": 1, "recipe_sha256": "r", "backbone_sha256": "b"},
        **{"data_sha256": "d", "engine": "e", "engine_version": "1", "seed": seed},
    }
    record = {
        **{"schema": 1, "id": record_id(identity), "identity": identity, "suite": "voc_c4", "init": "a"},
        **{"trial": seed, "seed": seed, "status": "running", "comparable": True, "metrics": {}},
        **{"not_comparable_because": [], "primary": "bbox/AP", "recipe": {}, "overrides": [], "error": None},
    }
    directory = output / "cells" / "voc_c4" / f"a-{record['id']}"
    directory.mkdir(parents=True)
    content = {"record": record, "output": str(output), "replaces": None, "fake": fake}
    (directory / "job.json").write_text(json.dumps(content))
    return FakeJob(f"job {seed}", directory / "job.json", "voc_c4", str(record["id"]), output)
