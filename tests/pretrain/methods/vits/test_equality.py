"""MAE, MoCo v3, DINO and iBOT make the steps of their published code with vision transformers, in float64.

Golden numbers always; the published code itself where JOINT_REPOS names a folder of checkouts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pretrain.methods.joint.cases import EARLY, digest
from tests.pretrain.methods.joint.test_equality import live, require_close, results
from tests.pretrain.methods.vits.cases import TINY
from tests.pretrain.methods.vits.steps import GOLDEN

EXPECTED = json.loads(GOLDEN.read_text())
# Of MoCo v3 in two processes, each of which normalises four images, rounding grows: 1e-9 in the loss after
# twelve steps, 1e-4 after twenty. There the losses of the first ones are held, and no tensor of the end.
GROWING, STEADY = ("moco_v3", 2), 12


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, list[dict[str, Any]]]]:
    folder = tmp_path_factory.mktemp("vits")
    return {1: results(folder, 1, "ours", "vits"), 2: results(folder, 2, "ours,synchronised", "vits")}


def require_equal(found: dict[str, Any], wanted: dict[str, Any], case: tuple[str, int]) -> None:
    if case == GROWING:
        found, wanted = ({**one, "losses": one["losses"][:STEADY], "state": {}} for one in (found, wanted))
    require_close(found, wanted)


@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize("name", list(TINY))
def test_golden(name: str, world: int, ours: dict) -> None:
    require_equal(digest(ours[world]["ours"][0][name]), EXPECTED[str(world)][name], (name, world))


@pytest.mark.parametrize("name", list(TINY))
def test_two_processes_are_one(name: str, ours: dict) -> None:
    """Masks, too: each process draws those of its images, wherever they are."""
    alone = ours[1]["ours"][0][name]
    both = [ours[2]["synchronised"][rank][name] for rank in range(2)]
    mean = {**both[0], "losses": [sum(pair) / 2 for pair in zip(*(b["losses"] for b in both), strict=True)]}
    require_close(mean, {**alone, "losses": alone["losses"][:EARLY], "state": alone["early"]}, 1e-7)


@live
@pytest.mark.parametrize("world", [1, 2])
def test_live(world: int, ours: dict, tmp_path: Path) -> None:
    published = results(tmp_path, world, "published", "vits")["published"]
    for rank in range(world):
        for name, wanted in published[rank].items():
            require_equal(ours[world]["ours"][rank][name], wanted, (name, world))
