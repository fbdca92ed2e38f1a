"""Options and overrides that cannot be meant: one line, exit code 2 and nothing made, dry run or not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.run import main
from tests.benchmarks.command_line import miniature

BASE = miniature()

OPTIONS: dict[str, tuple[list[str], str]] = {
    "seed": (
        ["--seed", "1" + 20 * "0"],
        "argument --seed: expected a whole number from 0 to 4294967295, got",
    ),
    "seed of other digits": (["--seed", "\u0663"], "expected a whole number from 0"),
    "endless seed": (["--seed", "9" * 5000], "expected a whole number from 0 to 4294967295, got '999"),
    "seeds beyond": (["--seed", "4294967295", "--trials", "2"], "seeds pass 4294967295; begin lower"),
    "trials": (["--trials", "1000000"], "argument --trials: expected a whole number from 1 to 1000"),
    "processes": (["--num-gpus", "1" + 9 * "0"], "expected a whole number from 1 to 4096"),
    "seed twice": (["--seed", "1", "--seed", "2"], "argument --seed: given twice, 1 and 2; keep one"),
    "engine twice": (["--engine", "torchvision"], "argument --engine: given twice, torchvision and torchv"),
    "GPUs twice": (["--num-gpus", "1", "--gpus-per-cell", "2"], "given twice, 1 and 2; keep one"),
    "no time": (["--launcher", "slurm", "--time", "banana"], "--time banana: expected minutes, hours"),
    "no pair": (["--launcher", "slurm", "--sbatch", "mem"], "--sbatch mem: expected KEY=VALUE"),
    "no cluster": (["--time", "90"], "--time is for a cluster; add --launcher slurm, or leave it"),
    "no cluster's CPUs": (["--cpus-per-cell", "4"], "--cpus-per-cell is for a cluster; add --launcher slurm"),
    "unknown": (["--sede", "1"], "unrecognized arguments: --sede"),
    "control characters": (["--engine2", "\x1b[2J"], "unrecognized arguments: --engine2"),
    "control characters in a value": (["\x1b[2J"], "no such file|no override|label"),
    "infinite": (
        ["SOLVER.BASE_LR", "inf"],
        "override: SOLVER.BASE_LR is inf; expected a finite number above 0",
    ),
    "backwards": (["SOLVER.STEPS", "(80, 60)"], r"override: SOLVER.STEPS is \[80, 60\]; expected"),
    "no iterations": (["SOLVER.MAX_ITER", "0"], "override: SOLVER.MAX_ITER is 0; expected a whole number"),
    "no workers": (["DATALOADER.NUM_WORKERS", "-3"], "NUM_WORKERS is -3; expected a whole number from 0"),
    "no anchors": (
        ["MODEL.ANCHOR_GENERATOR.SIZES", "[[0]]"],
        r"SIZES is \[\[0\]\]; expected lists of numbers",
    ),
    "no data": (["DATASETS.TRAIN", "[]"], r"DATASETS.TRAIN is \[\]; expected the names"),
    "the number that counts": (["MODEL.ROI_HEADS.NUM_CLASSES", "nan"], "expects int like 20, got 'nan'"),
}


@pytest.mark.parametrize("dry", [True, False], ids=["dry-run", "run"])
@pytest.mark.parametrize("kind", OPTIONS)
def test_options_and_overrides_that_cannot_be_meant(
    kind: str, dry: bool, devkit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, message = OPTIONS[kind]
    output = tmp_path / "runs"
    command = [*BASE, "--data-root", str(devkit), "--output", str(output), "--init", "random"]
    try:
        code = main([*command, *(["--dry-run"] if dry else []), *words])
    except SystemExit as stop:  # argparse
        code = int(str(stop.code))
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if not line.startswith("engine: ")]
    assert code == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert re.search(message, lines[0]), lines[0]
    assert "\x1b" not in captured.err
    assert len(lines[0]) < 400
    assert not output.exists(), "a refused command leaves nothing"
