"""Twenty steps equal the published optimizers' to 1e-12, and so does every parameter's rate and decay.

Golden numbers always; the published code itself where PRETRAIN_CHECKOUTS names a folder of checkouts.
"""

from __future__ import annotations

import json
import os

import pytest

from tests.pretrain.optimizers import official

GOLDEN = json.loads(official.GOLDEN.read_text())
live = pytest.mark.skipif(
    "PRETRAIN_CHECKOUTS" not in os.environ, reason="PRETRAIN_CHECKOUTS names no folder of checkouts"
)


def require_equal(ours: dict, theirs: dict) -> None:
    for step, settings in theirs["settings"].items():
        found = ours["settings"][step]
        # a frozen parameter may be in no group of ours: it never moves
        assert found.keys() <= settings.keys()
        for name, values in found.items():
            assert values == pytest.approx(settings[name], rel=1e-12, abs=1e-18), (step, name)
    for part in ("weights", "norms"):
        for name, values in theirs[part].items():
            assert ours[part][name] == pytest.approx(values, rel=1e-12, abs=1e-13), (part, name)


@pytest.mark.parametrize("name", official.OFFICIAL)
def test_golden(name: str) -> None:
    require_equal(official.ours(name), GOLDEN[name])


@live
@pytest.mark.parametrize("name", official.OFFICIAL)
def test_live(name: str) -> None:
    require_equal(official.ours(name), official.OFFICIAL[name]())


@pytest.mark.parametrize(("name", "lr", "wd"), [("simclr", 0.3, 1e-4), ("byol", 0.2, 1.5e-6)])
def test_written_formula(name: str, lr: float, wd: float) -> None:
    require_equal(official.ours(name), official.lars_in_loops(lr, wd, inside=name == "simclr"))
