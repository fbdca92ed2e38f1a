"""A suite of ours is one YAML and its recipe: nothing else must be told of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.errors import UsageError
from benchmarks.planning.suite import groups, load_suites
from benchmarks.planning.suite_file import SUITES, read_suite
from tests.conftest import ROOT

SUITE = """\
name: voc_c4_long
version: 1
recipe: voc_c4_long
reference: a schedule that nobody has published
primary: bbox/AP
metrics: [bbox/AP]
trials: 2
groups: {paper: 15, long: 1}
smoke: {_BASE_: c4}
"""
RECIPE = "_BASE_: voc_c4\nSOLVER.MAX_ITER: 48000\nSOLVER.STEPS: [36000, 44000]\n"
COMMANDS = """
from benchmarks.run import main
common = ["--init", "random", "--engine", "torchvision", "--num-gpus", "8", "--dry-run"]
def say(*words): print("$", *words, flush=True); assert main(list(words)) == 0
say("--list")
say("--suite", "paper", *common, "--data-root", "none")
say("--suite", "voc_c4_long", *common, "--data-root", {devkit!r}, "--trials", "3")
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of our packages with one suite and one recipe more."""
    for package in ("benchmarks", "converters", "results", "transfer"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "benchmarks" / "suites" / "voc_c4_long.yaml").write_text(SUITE)
    (tmp_path / "transfer" / "recipes" / "voc_c4_long.yaml").write_text(RECIPE)
    return tmp_path


def test_it_is_listed_planned_and_in_its_groups(copy: Path, devkit: Path) -> None:
    command = [sys.executable, "-c", COMMANDS.format(devkit=str(devkit))]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    listed, paper, alone = done.stdout.split("$ ")[1:]
    assert (
        "  voc_c4_long            a schedule that nobody has published; primary bbox/AP, 2 trials\n" in listed
    )
    assert "  paper                  all of: voc_c4, voc_c4_long, voc_dc5, voc07_c4, " in listed
    assert "  long                   all of: voc_c4_long\n" in listed
    planned = [line.split()[1] for line in paper.splitlines() if line.startswith("suite ")]
    assert planned[:3] == ["voc_c4", "voc_c4_long", "voc_dc5"]
    assert len(planned) == 15
    assert "iterations 48000, images seen 768000 per cell, 46.4 epochs of 16551 images\n" in paper
    assert alone.count("voc_c4_long, random, seed ") == alone.count(": new, would run\n") == 3
    assert "  SOLVER.STEPS: [36000, 44000]\n" in alone


def test_a_users_copy_of_ours_is_in_no_group(tmp_path: Path) -> None:
    text = (SUITES / "voc_c4.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("name: voc_c4", "name: mine"))
    assert [suite.name for suite in load_suites([str(tmp_path / "mine.yaml")])] == ["mine"]
    assert "mine" not in groups()["paper"]


def test_a_place_is_a_number(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SUITE.replace("paper: 15", "paper: first"))
    with pytest.raises(UsageError, match="mine.yaml: groups: paper is 'first'; expected its place"):
        read_suite(tmp_path / "mine.yaml")
