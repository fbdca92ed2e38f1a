"""Rows of the frame collapse without what keeps them apart, as their papers say, and do not with it.

Each ablation is a value that `--target`, `--predictor`, `--variance` and so on give to a user, too.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.pretrain.methods.joint.collapsing import trained

# Steps and rate, and a head without its last norm where the norm would hide that all points are one.
RUNS: dict[str, dict[str, Any]] = {
    "simsiam": {"steps": 150, "lr": 0.2, "projector": "32:bn-32b"},
    "byol": {"steps": 150, "lr": 0.1},
    "vicreg": {"steps": 150, "lr": 0.02},
    "barlow": {"steps": 150, "lr": 0.1},
    "dino": {"steps": 200, "lr": 0.5, "projector": "32b:bn:gelu-32b:bn:gelu-16b", "ema": 0.9},
    "swav": {"steps": 200, "lr": 0.5},
}
# What the full row has at least, and the ablation at most; see `collapsing.trained` for the measures.
CASES = {
    "no stop-gradient": ("simsiam", {"target": "none"}, "std", 0.8, 0.25),
    "simsiam, no predictor": ("simsiam", {"predictor": "none"}, "std", 0.8, 0.25),
    "byol, no predictor": ("byol", {"predictor": "none"}, "std", 0.8, 0.15),
    "no variance": ("vicreg", {"variance": 0.0}, "scale", 0.9, 0.05),
    "invariance alone": ("barlow", {"off_diagonal": 0.0}, "rank", 10.0, 6.0),
    "no centring": ("dino", {"keep_apart": "none"}, "apart", 0.8, 0.02),
    "no sharpening": ("dino", {"teacher_temperature": 1.0}, "apart", 0.8, 0.02),
    "no equal use": ("swav", {"sinkhorn": 0}, "apart", 1.5, 0.05),
}


@cache
def full(name: str) -> dict[str, float]:
    return trained(name, **RUNS[name])


@pytest.mark.parametrize("case", list(CASES))
def test_what_a_paper_says_collapses(case: str) -> None:
    name, ablation, measure, least, most = CASES[case]
    assert full(name)[measure] > least
    assert trained(name, **{**RUNS[name], **ablation})[measure] < most


def test_a_collapse_does_not_show_in_the_loss() -> None:
    """The loss without a predictor is the lower one: it is no evidence (BYOL, section 5)."""
    assert trained("byol", **{**RUNS["byol"], "predictor": "none"})["loss"] < full("byol")["loss"]
