"""Options and overrides: how they are told apart, and which of several counts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from benchmarks.arguments import last_of_each, parser, split_overrides
from benchmarks.run import main
from tests.benchmarks.command_line import miniature
from tests.conftest import Run

BASE = miniature()


def test_overrides_are_split_from_the_options() -> None:
    options, overrides = split_overrides(
        ["--init", "a", "b", "SOLVER.MAX_ITER", "3", "INPUT.MIN_SIZE_TRAIN", "(1,)"]
    )
    assert options == ["--init", "a", "b"]
    assert overrides == [("SOLVER.MAX_ITER", "3"), ("INPUT.MIN_SIZE_TRAIN", "(1,)")]


def test_options_of_several_values_are_collected(devkit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = parser().parse_args(["--suite", "a", "--init", "b", "--suite", "c", "d", "--init", "e"])
    assert (args.suite, args.init) == (["a", "c", "d"], ["b", "e"])
    options = ["--init", "one=random", *BASE, "--suite", "voc07_c4", "--dry-run", "--data-root", str(devkit)]
    assert main([*options, "--init", "two=random", "INPUT.FORMAT", "RGB"]) == 2
    assert "one and two are the same weights" in capsys.readouterr().err, "both were looked at"


def test_the_last_of_an_override_counts_and_is_said(devkit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [("A.B", "1"), ("C.D", "2"), ("A.B", "3"), ("A.B", "4")]
    assert last_of_each(pairs) == (
        [("A.B", "4"), ("C.D", "2")],
        ["override: A.B is given more than once; the last counts, 4"],
    )
    options = [*BASE, "--init", "random", "--dry-run", "--data-root", str(devkit)]
    assert main([*options, "SOLVER.GAMMA", "0.3", "SOLVER.GAMMA", "0.2"]) == 0
    captured = capsys.readouterr()
    assert "override: SOLVER.GAMMA is given more than once; the last counts, 0.2" in captured.err
    assert "not comparable: overrides: SOLVER.GAMMA=0.2\n" in captured.out
    assert "  SOLVER.GAMMA: 0.2\n" in captured.out


def test_print_config_prints_the_recipe_of_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    """Without data. The dry run has the same keys and values, among much else."""
    words = ["--suite", "voc_c4", "--init", "random"]
    assert main([*words[:2], "--print-config", "SOLVER.MAX_ITER", "7", "SOLVER.STEPS", "[3,5]"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["SOLVER.MAX_ITER"] == 7
    assert printed["SOLVER.STEPS"] == [3, 5]
    assert main([*words, "--dry-run", "SOLVER.MAX_ITER", "7", "SOLVER.STEPS", "[3,5]"]) == 0
    recipe = capsys.readouterr().out.partition("\nrecipe voc_c4")[2].splitlines()[1:]
    assert [line.strip().partition(":")[0] for line in recipe] == list(printed)


@pytest.mark.parametrize(("words", "says"), [
    (["--suite", "voc_c4", "voc_dc5"], "expected one --suite and at most one --init, got 2 and 0"),
    (["--suite", "voc_c4", "--init", "@inits.txt"], "at most one --init, got 1 and 2"),
    (["--suite", "paper"], "paper is a group; name one of"),
])  # fmt: skip
def test_print_config_prints_one(
    words: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inits.txt").write_text("random\nwide=random:resnet18\n")
    assert main([*words, "--print-config"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err


def test_help_and_list_import_nothing_heavy(real_benchmark: Run) -> None:
    for option in ("--help", "--list"):
        began = time.monotonic()
        done = real_benchmark(option)
        assert done.returncode == 0
        assert "voc_c4" in done.stdout
        assert time.monotonic() - began < 20, "a sanity bound; benchmarks/perf measures"
