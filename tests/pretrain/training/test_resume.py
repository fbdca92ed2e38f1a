"""Killed at random moments and started again, a run ends bit for bit like one that was left alone.

PRETRAIN_KILL_TRIALS=40 is the full test; CI runs fewer.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.pretrain.helpers import module

TRIALS = int(os.environ.get("PRETRAIN_KILL_TRIALS", "5"))


@pytest.fixture(scope="module")
def result(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    data = tmp_path_factory.mktemp("data")
    for part in ("train", "test"):  # with a test part, so that the kNN monitor runs too
        (data / part).symlink_to(image_folder)
    done = module("tests.pretrain.kill_driver", data, tmp_path_factory.mktemp("runs"), TRIALS, 0)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout.splitlines()[-1])


def test_killed_runs_end_like_the_uninterrupted_one(result: dict) -> None:
    assert result["kills"] >= TRIALS  # the test did kill
    assert result["same"] == result["trials"] == TRIALS


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129)])
def test_a_request_to_stop_saves_first(result: dict, name: str, code: int) -> None:
    assert result["signals"][name]["code"] == code
    assert result["signals"][name]["iteration"] >= 10


def test_sigusr1_saves_and_goes_on(result: dict) -> None:
    assert result["signals"]["SIGUSR1"]["code"] == -9  # it was still running when the test ended it
    assert result["signals"]["SIGUSR1"]["iteration"] >= 10
