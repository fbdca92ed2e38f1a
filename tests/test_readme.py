"""The README says of the demo what it does, and its tree shows the folders that there are."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from benchmarks import demo
from benchmarks.planning.suite import load_suite
from results.__main__ import main
from results.store import save_record
from tests.conftest import ROOT
from tests.results.conftest import build_record
from tests.source import OURS

README = (ROOT / "README.md").read_text(encoding="utf-8")
# As benchmarks/planning/cells.py says it of a miniature on generated images.
BECAUSE = (
    "smoke: miniature sizes and schedule",
    "synthetic data",
    f"overrides: SOLVER.MAX_ITER={demo.ITERATIONS}, SOLVER.STEPS=[]",
)


def test_the_table_is_what_the_demo_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Our two rows have the README's means and deviations; columns and notes are made here."""
    rows = re.findall(r"^\| (.+?) \(a b c\) +\|(.+)\|$", README, re.MULTILINE)
    assert [label for label, _ in rows] == ["moco", demo.TABLE.split()[5]]
    metrics = sorted(load_suite("voc_c4").metrics)  # AP comes first
    for label, cells in rows:
        values = [trials_with(*numbers) for numbers in re.findall(r"([\d.]+) ± ([\d.]+) \((\d)\)", cells)]
        assert len(values) == len(metrics)
        for trial in range(len(values[0])):
            scores = {m.removeprefix("bbox/"): of[trial] for m, of in zip(metrics, values, strict=True)}
            save_record(build_record(label, trial, metrics={"bbox": scores}, because=BECAUSE), tmp_path)
    words = demo.TABLE.format(output=tmp_path).split()[2:]
    assert main([*words, "--format", "md"]) == 0
    printed = capsys.readouterr().out.split("\n", 1)[1].strip()
    assert plain(printed) in plain(README), (
        f"paste the table of the demo; with the README's numbers:\n{printed}"
    )


def plain(text: str) -> str:
    """Without gaps and widths of columns: of rounded means a gap may differ in its last digit."""
    return re.sub(r" +", " ", re.sub(r"\[[+-][^\]]*\]|-{3,}", "", text))


def trials_with(mean: str, deviation: str, count: str) -> list[float]:
    """As many values as trials, with this mean and this sample standard deviation."""
    n = int(count)
    signs = [1.0, -1.0] * (n // 2) + [0.0] * (n % 2)
    scale = float(deviation) * math.sqrt((n - 1) / sum(sign**2 for sign in signs))
    return [float(mean) + scale * sign for sign in signs]


def test_one_number_of_minutes() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    minutes = [re.findall(r"about (\d+) minutes on 2", text) for text in (README, makefile)]
    assert len(minutes[0]) == 1
    assert minutes[0] == minutes[1]


def test_installing_comes_before_the_first_command_that_needs_it() -> None:
    installed = max(README.index("source .venv/bin/activate"), README.index("pip install -e ."))
    for command in ("python benchmarks/run.py", "python -m ", "make demo"):
        assert README.index(command) > installed, command


def test_the_pythons_that_the_package_names_were_tried() -> None:
    """The wheel's classifiers are the rows of the page that says what was run on each."""
    page = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
    tried = [int(minor) for minor in re.findall(r"^\| 3\.(\d+) \| \w", page, re.MULTILINE)]
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    ((first, behind),) = re.findall(r"minor in range\((\d+), (\d+)\)", setup)
    (least,) = re.findall(r">=3\.(\d+)", setup)
    assert tried == list(range(int(first), int(behind)))
    assert tried[0] == int(least)


def test_the_tree_shows_every_folder() -> None:
    block = README.split("## The tree", 1)[1].split("```")[1]
    shown = dict.fromkeys(re.findall(r"^(\w+)/", block, re.MULTILINE), ())
    for package, folders in re.findall(r"^(\w+)/.*\n((?:  .*\n)*)", block, re.MULTILINE):
        shown[package] = tuple(re.findall(r"^  (\w+)/ +\S", folders, re.MULTILINE))
    assert list(shown) == [*OURS, "tests"]
    for package in OURS:
        there = {path.name for path in (ROOT / package).iterdir() if path.is_dir()} - {"__pycache__"}
        assert set(shown[package]) == there, package


def test_what_was_found_is_what_the_records_say(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line of the comparison stands in the front table, and its command beside it."""
    command = re.findall(r"`python -m results (compare results/reference/[^`]+)`", README)
    assert len(command) == 1
    assert main([*command[0].split(), "--format", "md"]) == 0
    table = capsys.readouterr().out.split("\n", 2)[2].strip()
    assert table in README, f"paste this table:\n{table}"
