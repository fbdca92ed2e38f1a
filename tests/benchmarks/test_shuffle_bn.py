"""The leak's script: one real run of it in miniature, and its statistics from runs of known numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import shuffle_bn

SCRIPT = Path(shuffle_bn.__file__)
TINY = "--arch small_cnn --batch-size 4 --moco-k 8 --bn-groups 2 --image-size 16 --epochs 2 -p 1 --device cpu"


def fields(text: str) -> list[list[str]]:
    """The lines of the table that a text holds."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[field.strip() for field in line.strip("|").split("|")] for line in lines]


def test_a_run(tmp_path: Path) -> None:
    """From another folder, with relative paths, as a user may start it."""
    for number in range(16):
        path = tmp_path / "data" / ("train" if number < 8 else "test") / f"c{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 20, 3), 12 * number, np.uint8)).save(path)
    command = [sys.executable, SCRIPT, "--data", "data", "--output", "out", *TINY.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = fields(done.stdout)
    assert rows[2][:2] == ["with shuffling", "1"]
    assert rows[4] == ["p (Welch)", "", "-", "-", "-", "-"]  # one run a side has no spread
    assert (tmp_path / "out" / "shuffle_bn.png").stat().st_size > 10_000
    for title, shuffled in (("with_shuffling", True), ("without_shuffling", False)):
        run = shuffle_bn.read(tmp_path / "out" / title / "seed0")
        assert [iteration for iteration, _ in run.pretext] == [1, 2, 3, 4]
        assert [iteration for iteration, _ in run.knn] == [0, 2, 4]
        checkpoint = tmp_path / "out" / title / "seed0" / "checkpoint_last.pth.tar"
        assert torch.load(checkpoint, weights_only=True)["identity"]["shuffle_bn"] is shuffled


def finished(folder: Path, knn: float, shuffled: float) -> None:
    folder.mkdir(parents=True)
    lines = [{"iteration": i, "acc1": i / 10} for i in range(10, 1001, 10)]
    lines += [{"iteration": i, "knn": knn if i >= 900 else 0.0} for i in range(0, 1001, 100)]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "leak.json").write_text(json.dumps({"own_groups": 60.0, "shuffled": shuffled}))


def test_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, (a, b) in enumerate([(50, 48), (51, 49.5), (52, 48)]):
        finished(tmp_path / "with_shuffling" / f"seed{seed}", a, 50 + seed)
        finished(tmp_path / "without_shuffling" / f"seed{seed}", b, 38 - seed)
    arguments = ["--data", "x", "--output", str(tmp_path), "--draw-only", "--seeds", "0", "1", "2", "2"]
    monkeypatch.setattr(sys, "argv", ["shuffle_bn.py", *arguments])
    assert shuffle_bn.main() == 0
    rows = fields(capsys.readouterr().out)
    assert rows[2] == ["with shuffling", "3", "95.0 ± 0.0", "60.0 ± 0.0", "51.0 ± 1.0", "51.0 ± 1.0"]
    assert rows[3] == ["without shuffling", "3", "95.0 ± 0.0", "60.0 ± 0.0", "37.0 ± 1.0", "48.5 ± 0.9"]
    # the p-values are scipy's ttest_ind(..., equal_var=False)
    assert rows[4] == ["p (Welch)", "", "-", "-", "6.8e-05", "0.032"]
    monkeypatch.setattr(sys, "argv", ["shuffle_bn.py", *arguments, "7"])
    assert shuffle_bn.main() == 2
    assert "seed7/log.jsonl: missing; run without --draw-only" in capsys.readouterr().err


def test_curves_over_seeds() -> None:
    """Only what all have, each point the mean since the one before."""
    curves = [[(i, float(i)) for i in range(1, 9)], [(i, float(i) + 2) for i in range(1, 7)]]
    marks, values = shuffle_bn.mean_curve(curves, points=3)
    assert marks == [2, 4, 6]
    assert values == [(1.5, 2.5, 3.5), (3.5, 4.5, 5.5), (5.5, 6.5, 7.5)]
