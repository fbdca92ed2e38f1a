"""Runs of every mechanism: the same end in one go or in two, and only with the same options."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from pretrain import cli
from tests.pretrain.tiny import register_miniature

OPTIONS = "--arch resnet_miniature --batch-size 8 --moco-k 32 --image-size 32 --device cpu --precision fp32"


@pytest.fixture(scope="module")
def run(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/ and out/: one short run."""
    register_miniature()
    root = tmp_path_factory.mktemp("monitors")
    (root / "data").mkdir()
    for part in ("train", "val"):
        (root / "data" / part).symlink_to(image_folder)
    more = ["--max-iters", "6", "--mlp", "-p", "2"]
    assert (
        cli.main(["--data", str(root / "data"), "--output", str(root / "out"), *OPTIONS.split(), *more]) == 0
    )
    return root


@pytest.mark.parametrize("mechanism", ["memory_bank", "end_to_end"])
def test_mechanisms_train_and_resume(run: Path, tmp_path: Path, mechanism: str) -> None:
    """Same end, in one go or in two."""
    common = ["--data", str(run / "data"), *OPTIONS.split(), "--mechanism", mechanism, "-p", "2"]
    assert cli.main([*common, "--output", str(tmp_path / "a"), "--max-iters", "6"]) == 0
    for length in ("3", "6"):
        assert cli.main([*common, "--output", str(tmp_path / "b"), "--max-iters", length]) == 0
    a, b = (
        torch.load(tmp_path / x / "checkpoint_last.pth.tar", weights_only=True)["state_dict"] for x in "ab"
    )
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert ("module.memory_bank" in a) == (mechanism == "memory_bank")


def test_a_run_is_not_continued_with_other_options(run: Path, capsys: pytest.CaptureFixture) -> None:
    more = ["--max-iters", "8", "--mlp", "--lr", "0.1"]
    assert cli.main(["--data", str(run / "data"), "--output", str(run / "out"), *OPTIONS.split(), *more]) == 2
    assert "was made with lr = 0.03, now 0.1" in capsys.readouterr().err


def test_no_shuffle_is_marked(run: Path, tmp_path: Path) -> None:
    more = ["--max-iters", "2", "--no-shuffle-bn"]
    assert cli.main(["--data", str(run / "data"), "--output", str(tmp_path), *OPTIONS.split(), *more]) == 0
    read = torch.load(tmp_path / "checkpoint_last.pth.tar", weights_only=True)
    assert read["identity"]["shuffle_bn"] is False


def test_a_loss_that_is_no_number_is_not_saved(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    more = "--max-iters 9 --lr 1e38 --save-iters 1 -p 9 --keep 9"
    assert (
        cli.main(["--data", str(run / "data"), "--output", str(tmp_path), *OPTIONS.split(), *more.split()])
        == 2
    )
    assert "loss" in capsys.readouterr().err
    for path in tmp_path.glob("checkpoint_*.pth.tar"):
        totals = torch.load(path, weights_only=True)["totals"]
        assert torch.isfinite(totals["loss"])


def test_deterministic_runs_resume_to_the_bit_and_are_marked(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    common = ["--data", str(run / "data"), *OPTIONS.split(), "-p", "2"]
    try:
        for name, length in (("a", "6"), ("b", "3"), ("b", "6")):
            more = ["--deterministic", "--output", str(tmp_path / name), "--max-iters", length]
            assert cli.main([*common, *more]) == 0
            assert torch.are_deterministic_algorithms_enabled()
            assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
    a, b = (torch.load(tmp_path / x / "checkpoint_last.pth.tar", weights_only=True) for x in "ab")
    assert a["identity"]["deterministic"] is True
    assert all(torch.equal(a["state_dict"][name], b["state_dict"][name]) for name in b["state_dict"])
    assert cli.main([*common, "--output", str(tmp_path / "b"), "--max-iters", "8"]) == 2
    assert "was made with deterministic = True, now False" in capsys.readouterr().err
    assert not torch.are_deterministic_algorithms_enabled()
    plain = torch.load(run / "out" / "checkpoint_last.pth.tar", weights_only=True)
    assert "deterministic" not in plain["identity"]  # files of other runs are what they were
    more = ["--max-iters", "8", "--mlp", "--deterministic", "--output", str(run / "out")]
    assert cli.main(["--data", str(run / "data"), *OPTIONS.split(), *more]) == 2
    torch.use_deterministic_algorithms(False)
