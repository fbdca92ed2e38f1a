"""Runs of all methods, killed at random moments and started again, end bit for bit as if left alone.

PRETRAIN_METHOD_KILLS=100 is the full test, over all methods; else it is a sample.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pretrain.methods.choose import method_names
from tests.pretrain.helpers import module
from tests.pretrain.methods.kills import VIT, names

KILLS = int(os.environ.get("PRETRAIN_METHOD_KILLS", "2"))


@pytest.mark.slow
def test_killed_runs_of_all_methods_end_like_those_left_alone(image_folder: Path, tmp_path: Path) -> None:
    done = module("tests.pretrain.methods.kills", image_folder, tmp_path, KILLS, 0)
    assert done.returncode == 0, done.stderr + done.stdout
    print(done.stdout.splitlines()[-1])
    found = json.loads(done.stdout.splitlines()[-1])
    assert sum(sum(tally["kills"].values()) for tally in found.values()) >= KILLS
    assert {name: tally["same"] for name, tally in found.items()} == {
        name: tally["runs"] for name, tally in found.items()
    }
    if KILLS >= 100:
        assert set(found) == set(names())


def test_no_method_is_left_out() -> None:
    assert set(method_names()) <= {name.removeprefix(VIT) for name in names()}
