"""Each row makes the steps of its published code: losses, gradients, slow copies, queues, in float64.

Golden numbers always; the published code itself where JOINT_REPOS names a folder of checkouts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.pretrain.helpers import ROOT
from tests.pretrain.methods.joint.cases import EARLY, TINY, digest
from tests.pretrain.methods.joint.steps import GOLDEN

EXPECTED = json.loads(GOLDEN.read_text())
live = pytest.mark.skipif("JOINT_REPOS" not in os.environ, reason="JOINT_REPOS names no checkouts")
# Files of ours hold these besides; SwAV's own code keeps its queue elsewhere.
OURS_ALONE = ("queue/",)


def results(folder: Path, world: int, kinds: str, package: str = "joint") -> dict[str, list[dict[str, Any]]]:
    """Of each kind the results of every process, made by one child that forks."""
    command = [
        sys.executable,
        "-m",
        f"tests.pretrain.methods.{package}.steps",
        str(folder),
        str(world),
        kinds,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return {
        kind: [torch.load(folder / f"{kind}-{world}-{rank}.pt") for rank in range(world)]
        for kind in kinds.split(",")
    }


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, list[dict[str, Any]]]]:
    folder = tmp_path_factory.mktemp("joint")
    return {1: results(folder, 1, "ours,terms"), 2: results(folder, 2, "ours,synchronised,divided,terms")}


def require_close(found: dict[str, Any], wanted: dict[str, Any], limit: float = 1e-6) -> None:
    """Losses and tensors, or their digests; names must be the same but for what is ours alone."""
    assert found["losses"] == pytest.approx(wanted["losses"], abs=limit, rel=limit)
    for part in ("gradients", "state"):
        names = {name for name in found[part] if not name.startswith(OURS_ALONE)}
        assert names == {name for name in wanted[part] if not name.startswith(OURS_ALONE)}, part
        for name in names:
            pair = (torch.as_tensor(side[part][name]).double() for side in (found, wanted))
            torch.testing.assert_close(*pair, rtol=limit, atol=limit, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize("name", list(TINY))
def test_golden(name: str, world: int, ours: dict) -> None:
    """In two processes each normalises its own half, on both sides: what is gathered shows."""
    require_close(digest(ours[world]["ours"][0][name]), EXPECTED[str(world)][name])


@pytest.mark.parametrize("name", list(TINY))
def test_two_processes_are_one(name: str, ours: dict) -> None:
    """With norms in common, the mean loss and all tensors are those of one process with the whole batch."""
    alone = ours[1]["ours"][0][name]
    both = [ours[2]["synchronised"][rank][name] for rank in range(2)]
    mean = {**both[0], "losses": [sum(pair) / 2 for pair in zip(*(b["losses"] for b in both), strict=True)]}
    require_close(mean, {**alone, "losses": alone["losses"][:EARLY], "state": alone["early"]}, 1e-7)


def test_the_published_gradient_of_barlow_twins_is_divided(ours: dict) -> None:
    """In two processes it is half of one process's, but with --exact-gradient."""
    name = "model/module.projector.6.weight"
    whole, divided = (ours[2][kind][0]["barlow"] for kind in ("synchronised", "divided"))
    assert whole["losses"][0] == pytest.approx(divided["losses"][0], rel=1e-9)
    torch.testing.assert_close(divided["gradients"][name] * 2, whole["gradients"][name], rtol=1e-9, atol=0)


def test_terms_of_two_processes_are_those_of_one(ours: dict) -> None:
    """All terms at once: what compares images sees those of both, and gradients flow back to both."""
    alone, both = ours[1]["terms"][0]["vicreg"], [ours[2]["terms"][rank]["vicreg"] for rank in range(2)]
    mean = {**both[0], "losses": [sum(pair) / 2 for pair in zip(*(b["losses"] for b in both), strict=True)]}
    require_close(mean, alone, 1e-7)
    assert alone["losses"][0] != pytest.approx(ours[1]["ours"][0]["vicreg"]["losses"][0], rel=0.1)


@live
@pytest.mark.parametrize("world", [1, 2])
def test_live(world: int, ours: dict, tmp_path: Path) -> None:
    published = results(tmp_path, world, "published")["published"]
    for rank in range(world):
        for name, wanted in published[rank].items():
            require_close(ours[world]["ours"][rank][name], wanted)
