"""Checkpoints of a running pre-training become rows, each once; a killed watch goes on; the curve appears."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import watch
from pretrain import cli
from tests.conftest import ROOT
from tests.pretrain.helpers import write_images
from transfer.datasets.synthetic.dial import draw_image_set

SUITE = """\
name: near
recipe: {_BASE_: knn, FEATURES.RESIZE: 32, FEATURES.CROP: 32, PROBE.NEIGHBOURS: [3]}
datasets:
  textures: {format: labelled, folder: textures}
primary: knn/top1
"""
RUN = (
    "--arch resnet18w0.25x --image-size 16 --batch-size 8 --moco-k 16 --device cpu --precision fp32 --keep 5"
)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs of two iterations, with a checkpoint at each iteration; a suite lies beside it."""
    root = tmp_path_factory.mktemp("watched")
    write_images(root / "images", 16, size=20)
    run = root / "byol-2"
    words = ["--data", str(root / "images"), "--output", str(run), *RUN.split()]
    assert cli.main([*words, "--max-iters", "4", "--save-iters", "1"]) == 0
    draw_image_set(root / "textures", 0.8, classes=3, train=4, test=2)
    (root / "near.yaml").write_text(SUITE)
    return run


def records(output: Path) -> dict[str, dict[str, Any]]:
    found = (json.loads(path.read_text()) for path in output.glob("records/*/*.json"))
    return {record["init"]: record for record in found}


def test_a_watch_that_is_killed_goes_on(pretrained: Path, tmp_path: Path) -> None:
    words = [str(pretrained), "--suite", str(pretrained.parent / "near.yaml"), "--output", str(tmp_path)]
    words += ["--once", "--device", "cpu", "--trials", "1"]
    first = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.watch", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    one, two = (tmp_path / watch.KEPT / f"byol-2_epoch_{epoch}" for epoch in (1, 2))
    end = time.monotonic() + 500
    while not one.with_suffix(".done").exists() and time.monotonic() < end and first.poll() is None:
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    begun = records(tmp_path)["byol-2_epoch_1"]
    assert begun["status"] == "finished"

    assert watch.main(words) == 0
    found = records(tmp_path)
    assert {name: record["status"] for name, record in found.items()} == {
        "byol-2_epoch_1": "finished", "byol-2_epoch_2": "finished",
    }  # fmt: skip
    assert found["byol-2_epoch_1"] == begun  # it was measured once
    assert sorted(path.name for path in (tmp_path / watch.KEPT).iterdir()) == [
        one.name + ".done", two.name + ".done",
    ]  # fmt: skip
    page = (tmp_path / "report.html").read_text()
    assert "byol-2_epoch_2" in page
    assert len(list(pretrained.glob("checkpoint_0*"))) == 4  # the run's own files stay


def test_which_checkpoints_are_due(pretrained: Path, tmp_path: Path) -> None:
    """Half epochs where they are asked for, and one row a step of --every."""
    for every, epochs in ((0.5, ["0.5", "1", "1.5", "2"]), (1.5, ["1.5"]), (3.0, [])):
        plan = watch.Watch(pretrained, tmp_path / str(every), "run", every, [])
        waiting = plan.take()
        assert [watch.epoch_in(path) for path in waiting] == epochs
        for path in waiting:
            path.rename(path.with_name(path.name.replace(".pth.tar", ".done")))
        assert plan.take() == []
        again = watch.Watch(pretrained, tmp_path / str(every), "run", every, [])
        assert again.take() == [], "nor by the next command"


def test_a_checkpoint_is_looked_at_once(
    pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    epoch_of = watch.epoch_of
    monkeypatch.setattr(watch, "epoch_of", lambda path, name: looked.append(path) or epoch_of(path, name))
    plan = watch.Watch(pretrained, tmp_path / "out", "run", 1.5, [])
    plan.take()
    plan.take()
    assert len(looked) == 4


def test_a_cell_that_fails_is_told_and_tried_again_by_the_next_command(
    pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def measured(plan: watch.Watch, path: Path, running: list) -> int:
        made.append(watch.epoch_in(path))
        if watch.epoch_in(path) == "1":
            return 1
        path.rename(path.with_name(path.name.removesuffix(".pth.tar") + ".done"))
        return 0

    monkeypatch.setattr(watch, "_measured", measured)
    plan = watch.Watch(pretrained, tmp_path, "run", 1.0, [])
    assert watch.watch(plan, once=True, until=None, seconds=0) == 1
    assert made == ["1", "2"]
    assert watch.watch(plan, once=False, until=2, seconds=0) == 1
    assert made == ["1", "2", "1"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--init", "random"], "--init cannot be given: every row is a checkpoint of"),
        (["--suite", "voc_c5"], "--suite voc_c5: no such suite; nearest: "),
        (["--output", __file__], r"--output .*test_watch.py: .* is a file; choose another folder"),
    ],
)
def test_refused(more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """At once: the first checkpoint may be hours away."""
    words = more if "--suite" in more else ["--suite", "voc_c4", *more]
    assert watch.main([str(tmp_path), *words, "--once"]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_an_option_that_nobody_knows_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as ended:
        watch.main([str(tmp_path), "--suite", "voc_c4", "--trails", "3", "--once"])
    assert ended.value.code == 2
    assert "--trails" in capsys.readouterr().err


def test_a_folder_without_checkpoints_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert watch.main([str(tmp_path), "--suite", "voc_c4", "--once"]) == 0
    assert "no checkpoint_NNNNNNNN.pth.tar yet; nothing is measured" in capsys.readouterr().err
    assert not list(tmp_path.iterdir()), "a folder of images, perhaps"


@pytest.mark.parametrize("given", ["--every 0", "--seconds -1", "--seconds nan", "--until inf"])
def test_what_would_be_waited_for_in_vain(given: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        watch.main([str(tmp_path), "--suite", "voc_c4", *given.split()])
    option, value = given.split()
    assert ended.value.code == 2
    assert f"{option}: expected a number above 0, got {value!r}" in capsys.readouterr().err


def test_no_run_and_a_foreign_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert watch.main([str(tmp_path / "none"), "--suite", "voc_c4"]) == 2
    (tmp_path / "checkpoint_00000001.pth.tar").write_bytes(b"something else")
    assert watch.main([str(tmp_path), "--suite", "voc_c4", "--once"]) == 2
    first, *others = capsys.readouterr().err.splitlines()
    assert "no such folder" in first
    assert [line.split(":")[0] for line in others] == ["warning", "error"]
    assert all("no checkpoint of `python -m pretrain`" in line for line in others)


def test_a_damaged_checkpoint_is_passed_over(
    pretrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """The run goes on, and so does the watch; the file is told once, by its own name, and no copy stays."""
    run = tmp_path / "run"
    run.mkdir()
    for path in pretrained.glob("checkpoint_0*"):
        (run / path.name).symlink_to(path)
    damaged = run / "checkpoint_00000002.pth.tar"
    content = damaged.read_bytes()
    damaged.unlink()
    damaged.write_bytes(content[: len(content) // 2])
    plan = watch.Watch(run, tmp_path / "out", "run", 1.0, [])
    assert [watch.epoch_in(path) for path in plan.take()] == ["1.5", "2"]
    assert plan.take() == plan.take()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: skipping {damaged}: no checkpoint of")
    assert not list((tmp_path / "out").rglob("*.part"))
