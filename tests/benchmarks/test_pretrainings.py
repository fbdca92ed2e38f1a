"""A row over two pre-trainings from the command line: an exact probe, random weights beside it, one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from results.__main__ import main as results
from tests.benchmarks.test_frozen_suite import SUITE
from tests.conftest import Run, narrow_backbone_file
from transfer.datasets.synthetic.dial import draw_image_set


def test_each_trial_of_a_row_is_another_pretraining(
    tmp_path: Path, benchmark: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_image_set(tmp_path / "textures", 0.8, classes=3, train=6, test=4)
    (tmp_path / "mine.yaml").write_text(SUITE)
    for seed in (0, 1):
        narrow_backbone_file(tmp_path / f"simclr_s{seed}" / "last.pkl", seed)
    runs = tmp_path / "out"
    inits = [f"{tmp_path}/simclr_s{{seed}}/last.pkl", "random@simclr"]
    words = ["--suite", tmp_path / "mine.yaml", "--init", *inits, "--trials", "2", "--output", runs]
    done = benchmark(*words, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "one trial of" not in done.stderr
    records = [json.loads(path.read_text()) for path in sorted(runs.glob("records/*/*.json"))]
    ours = {record["seed"]: record for record in records if record["init"] == "simclr"}
    assert (len(records), sorted(ours)) == (4, [0, 1])
    assert len({record["identity"]["backbone_sha256"] for record in ours.values()}) == 2
    assert [ours[seed]["checkpoints"]["seed"] for seed in (0, 1)] == [0, 1]
    said = " ".join(done.stdout.split())
    assert "simclr (a)" in said
    assert "each trial is another pre-training: the file of its seed (…_s{seed}/last.pkl)" in said

    narrow_backbone_file(tmp_path / "simclr_s1" / "last.pkl", 7)
    anew = benchmark(*words, "--device", "cpu")
    assert anew.returncode == 2
    assert "simclr: with what is finished" in anew.stderr.splitlines()[-1]
    assert "seed 1 was run with two files" in anew.stderr

    assert results(["publish", str(runs), "-o", str(tmp_path / "b.zip")]) == 0
    assert results(["verify", str(tmp_path / "b.zip")]) == 0
    assert results(["pull", str(tmp_path / "b.zip"), str(tmp_path / "all")]) == 0
    assert results(["report", str(tmp_path / "all"), "-o", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "each trial is another pre-training: the file of its seed (…_s{seed}/last.pkl)" in page
    capsys.readouterr()
    assert results(["compare", str(tmp_path / "all"), "--rows", "simclr", "random@simclr"]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert "paired t over 2 seeds" in line or "no spread" in line
    assert "bootstrap" not in line
