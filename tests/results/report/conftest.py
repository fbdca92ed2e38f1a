"""A world of suites for the front page: what is better, worse, alike, untested, miniature, less-is-better."""

from __future__ import annotations

import random
from typing import Any

import pytest

GAINS = {"random": -6.0, "supervised": 0.0, "moco": 1.5, "swav": 0.1}
# suite -> trials
SUITES = {"one": 5, "two": 4, "errors": 4, "probe": 1, "small": 4}


@pytest.fixture(scope="session")
def world() -> list[dict[str, Any]]:
    """Records; `late` is in two suites alone, and `other` has another recipe in one."""
    from tests.results.conftest import build_record

    draw, records = random.Random(0), []
    for suite, trials in SUITES.items():
        for init, gain in (GAINS | ({"late": 2.5} if suite in ("one", "two") else {})).items():
            for trial in range(trials):
                value = 50 + (-gain if suite == "errors" else gain) + draw.gauss(0, 0.2)
                metrics = {"corrupt": {"mCE": value}} if suite == "errors" else None
                because = ("smoke: a miniature",) if suite == "small" else ()
                records.append(build_record(init, trial, value, suite, metrics=metrics, because=because))
    records.append(build_record("other", 0, 70.0, "one", recipe_sha256="0" * 64))
    return records
