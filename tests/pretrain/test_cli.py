"""Bad input: one line, exit code 2, no traceback, nothing half-written. And the pure schedules."""

from __future__ import annotations

import errno
import math
import os
import signal
import time
from pathlib import Path

import pytest

from pretrain import cli, features, knn, linear
from pretrain.errors import PretrainError
from pretrain.networks.encoders import make_encoder_factory, parse_arch, pooled_features
from pretrain.training.refusals import bn_groups
from pretrain.training.schedule import cosine_schedule, decay_schedule, step_schedule
from tests.pretrain.helpers import module, overriding, write_images

SMALL = ["--batch-size", "8", "--moco-k", "32", "--image-size", "32", "--max-iters", "2", "--device", "cpu"]


def refused(capsys: pytest.CaptureFixture, main, *arguments: str | Path) -> str:
    """Runs a main() that must print one error line and return 2; the line."""
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert "Traceback" not in printed.err
    return printed.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch-size", "64"], "--batch-size 64 is more than the 24 images found"),
        (["--moco-k", "30"], "--moco-k 30 is not a multiple of the batch of 8; nearest valid: 32"),
        (["--moco-k", "3"], "nearest valid: 8"),
        (["--arch", "resnet5O"], "nearest: resnet"),
        (["--arch", "wide_resnet50_2w2x"], "plain ResNets"),
        (["--bn-groups", "1"], "shuffling BN would do nothing"),
        (["--bn-groups", "3"], "does not divide into 3 BatchNorm groups"),
        (["--bn-groups", "8"], "leaves one image a group"),
        (["--precision", "fp16"], "needs a GPU"),
        (["--resume", "nowhere.pth.tar"], "no such checkpoint file"),
        (["--knn-every", "1"], "needs class folders in train/"),
        (["--device", "cuda"], "no CUDA device"),
    ],
)
def test_refused(
    image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, options: list[str], message: str
) -> None:
    if options[1] == "cuda":
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has the CUDA device that the case wants absent")
    fixed = ["--data", str(image_folder), "--output", str(tmp_path / "out"), *SMALL]
    error = refused(capsys, cli.main, *overriding(fixed, options))
    assert message in error
    assert not list(tmp_path.rglob("*.pth.tar"))


@pytest.mark.parametrize("data", ["missing", "empty", "one"])
def test_bad_data(tmp_path: Path, capsys: pytest.CaptureFixture, data: str) -> None:
    (tmp_path / "empty").mkdir()
    write_images(tmp_path / "one", 1)
    assert data in refused(capsys, cli.main, "--data", tmp_path / data, "--output", tmp_path / "out", *SMALL)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("data", "locked"), [("data", "data"), ("data/images", "data"), ("data", "data/train")]
)
def test_data_without_permission(
    image_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    data: str,
    locked: str,
) -> None:
    """A folder of mode 000, as the system shows it to all but root: it can be neither listed nor passed."""
    folder = tmp_path / locked
    folder.parent.mkdir(exist_ok=True)
    folder.symlink_to(image_folder)
    stat, scandir = os.stat, os.scandir

    def refuse(path: str | Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    def locked_stat(path, *args, **kwargs):
        return refuse(path) if folder in Path(str(path)).parents else stat(path, *args, **kwargs)

    def locked_scandir(path="."):
        return refuse(path) if str(path).startswith(str(folder)) else scandir(path)

    monkeypatch.setattr(os, "stat", locked_stat)
    monkeypatch.setattr(os, "scandir", locked_scandir)
    error = refused(capsys, cli.main, "--data", tmp_path / data, "--output", tmp_path / "out", *SMALL)
    assert str(folder) in error
    assert "Permission denied" in error
    assert "check its permissions" in error
    assert not (tmp_path / "out").exists()


def test_data_below_a_file(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    error = refused(
        capsys, cli.main, "--data", tmp_path / "file" / "images", "--output", tmp_path / "out", *SMALL
    )
    assert "no such folder or file" in error


def test_output_that_cannot_be_written(
    image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    error = refused(capsys, cli.main, "--data", image_folder, "--output", tmp_path / "file" / "out", *SMALL)
    assert "cannot be written" in error


def test_wrong_values_are_one_line(capsys: pytest.CaptureFixture) -> None:
    for options in (
        "--batch-size 0",
        "--max-iters x",
        "--epochs 1 --max-iters 1",
        "--moco 1",
        "--epochs -1",
        "--lr inf",
        "--lr nan",
        "--lr -0.1",
        "--workers -1",
        "--seed 100000000000000000000",
        "--seed -1",
        "--moco-t 0",
        "--moco-m 1.5",
        "--momentum nan",
        "--wd -1",
        "--schedule 10 -20",
        "--cache-mb -1",
        "--max-corrupt 2",
        "--save-minutes nan",
        "--device nope",
        "--device cuda:x",
        "--max-iters 100000000",
        "--lr 0.1 --learning-rate 0.2",  # one option under two names
        "--schedule 10 --schedule 20",
        "--output p",
    ):
        with pytest.raises(SystemExit) as stopped:
            cli.build_parser().parse_args(["--data", "d", "--output", "o", *options.split()])
        assert stopped.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith("error: "), options
        assert error.count("\n") == 1
    parser = cli.build_parser()
    for _ in range(2):  # nothing stays of an earlier reading
        parser.parse_args(["--data", "d", "--output", "o", "--seed", str(2**63 - 1), "--mlp", "--mlp"])


def test_more_iterations_than_file_names(
    image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = ["--batch-size", "8", "--moco-k", "32", "--epochs", "33333334", "--output", tmp_path / "out"]
    error = refused(capsys, cli.main, "--data", image_folder, *options)
    assert "expected at most 99999999: lower --epochs" in error
    assert not (tmp_path / "out").exists()


def test_a_signal_before_there_is_anything_to_save(
    image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line and the signal's exit code: here while the images are listed."""
    monkeypatch.setattr("pretrain.run.find_images", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["--data", str(image_folder), "--output", str(tmp_path / "out"), *SMALL]) == 143
    assert capsys.readouterr().out == "warning: stopped by SIGTERM; run the same command again\n"
    assert signal.getsignal(signal.SIGTERM) == before


def test_help_is_quick() -> None:
    begin = time.monotonic()
    done = module("pretrain", "--help")
    assert done.returncode == 0
    assert "--moco-k" in done.stdout
    assert time.monotonic() - begin < 5  # far below a second on a free machine; torch alone takes several


def test_other_mains(image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "x.pth").write_bytes(b"junk")
    (tmp_path / "test").mkdir()
    assert "needs class folders" in refused(
        capsys, knn.main, "--data", image_folder, "--pretrained", tmp_path / "x.pth"
    )
    assert "needs class folders" in refused(
        capsys, linear.main, "--data", image_folder, "--pretrained", tmp_path / "x.pth"
    )
    for part in ("train", "test"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / part).symlink_to(image_folder)
    assert "x.pth" in refused(
        capsys, linear.main, "--data", tmp_path / "data", "--pretrained", tmp_path / "x.pth"
    )  # before its batch size, for a file that is no checkpoint is of no use with any
    assert "x.pth" in refused(
        capsys,
        features.main,
        "--data",
        image_folder,
        "--pretrained",
        tmp_path / "x.pth",
        "--output",
        tmp_path / "f.npz",
    )


def test_bn_groups_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bn_groups(None, 256, splits_batch=True) == 8
    assert bn_groups(None, 32, splits_batch=True) == 2
    assert bn_groups(None, 32, splits_batch=False) == 1
    assert bn_groups(1, 32, splits_batch=True) == 1
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert bn_groups(None, 256, splits_batch=True) == 4
    with pytest.raises(PretrainError, match="multiple of the 4 processes"):
        bn_groups(2, 256, splits_batch=True)


def test_schedules() -> None:
    v1 = step_schedule(0.03, [120, 160], per_epoch=10)
    assert [v1(i) for i in (0, 1199, 1200, 1600)] == pytest.approx([0.03, 0.03, 0.003, 0.0003])
    v2 = cosine_schedule(0.03, total=2000, per_epoch=10)
    assert v2(999) == v2(990) == pytest.approx(0.03 * 0.5 * (1 + math.cos(math.pi * 99 / 200)))
    assert cosine_schedule(0.1, total=100)(50) == pytest.approx(0.05)
    web = decay_schedule(0.12, 0.9, 62_500)
    assert [web(i) for i in (0, 62_499, 62_500, 1_249_999)] == pytest.approx(
        [0.12, 0.12, 0.108, 0.12 * 0.9**19]
    )


def test_archs() -> None:
    """The wide variant has the paper's parameter count (table 1: R50w2x 94 M without head)."""
    import torch

    assert parse_arch("resnet50w4x") == ("resnet50", 4)
    assert parse_arch("small_cnn") == ("small_cnn", 1)
    wide = make_encoder_factory("resnet50w2x", dim=128)()
    trunk = sum(p.numel() for name, p in wide.named_parameters() if not name.startswith("fc."))
    assert round(trunk / 1e6) == 94
    for arch in ("resnet18", "resnet18w0.25x", "resnext50_32x4d", "small_cnn"):
        network = make_encoder_factory(arch, dim=16, small_images=arch == "resnet18")().eval()
        images = torch.randn(2, 3, 32, 32)
        torch.testing.assert_close(network.fc(pooled_features(network, images)), network(images))
