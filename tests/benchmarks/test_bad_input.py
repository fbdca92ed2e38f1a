"""Bad input: one clear line, exit code 2, no traceback, and nothing made."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.run import main
from tests.benchmarks.command_line import QUICK_KEYS, miniature
from tests.conftest import Run
from transfer.engines.choose import detectron2_found

BASE = miniature()


def _html(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>")


def _truncated(path: Path) -> None:
    torch.save({"state_dict": {"module.encoder_q.conv1.weight": torch.zeros(64, 3, 7, 7)}}, path)
    path.write_bytes(path.read_bytes()[:1000])


def _other_architecture(path: Path) -> None:
    from torchvision.models import squeezenet1_1

    torch.save(squeezenet1_1().state_dict(), path)


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "directory": (lambda p: p.mkdir(), "directory|folder"),
    "empty": (lambda p: p.write_bytes(b""), "empty"),
    "random": (lambda p: p.write_bytes(np.random.default_rng(0).bytes(5000)), "."),
    "truncated": (_truncated, "truncated|damaged|incomplete|cut"),
    "html": (_html, "HTML"),
    "squeezenet": (_other_architecture, "ResNet|missing|complete"),
}


@pytest.mark.parametrize("kind", FILES)
def test_checkpoints_that_are_none(
    kind: str, tmp_path: Path, refuse: Callable[..., None], devkit: Path
) -> None:
    make, message = FILES[kind]
    path = tmp_path / f"{kind}.pth"
    make(path)
    refuse(*BASE, "--data-root", devkit, "--init", path, message=message)


def test_a_folder_of_suites_is_no_suite(refuse: Callable[..., None], devkit: Path, tmp_path: Path) -> None:
    data = ["--data-root", str(devkit)]
    refuse("--suite", str(tmp_path), *data, "--init", "random", message="is a folder; name a file in it")
    refuse("--suite", "qqqqqq", *data, "--init", "random", message="no such suite; --list shows all; yours")


def test_unknown_names_offer_the_nearest(refuse: Callable[..., None], devkit: Path) -> None:
    data = ["--data-root", devkit]
    refuse("--suite", "voc_c5", *data, "--init", "random", message="no such suite; nearest: .*voc_c4")
    refuse(*BASE, *data, "--init", "randon", message="no such file, and not a name; did you mean random")
    refuse(*BASE, *data, "--init", "absent.pkl", message="absent.pkl: no such file")
    refuse(*BASE, *data, "--init", "a=random", "a=random", message="two rows are called 'a'")
    other = ["--suite", "voc_c4", *data, "--init", "random", "--engine", "mmdet"]
    refuse(*other, message="expected auto, detectron2 or torchvision")


def test_what_is_needed_is_said(refuse: Callable[..., None]) -> None:
    refuse("--suite", "voc_c4", message="--suite and --init are needed")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["SOLVER.MAX_ITERS", "3"], "unknown key SOLVER.MAX_ITERS; did you mean SOLVER.MAX_ITER"),
        (["SOLVER.MAX_ITER", "x"], "SOLVER.MAX_ITER expects int"),
        (["SOLVER.MAX_ITER"], "SOLVER.MAX_ITER has no value"),
        (["SOLVER.MAX_ITER", "3", "--smoke", "1"], "--smoke stands behind the overrides"),
    ],
)
def test_bad_overrides(
    overrides: list[str], message: str, devkit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = miniature("random", data_root=devkit, output=tmp_path / "runs")
    assert main([*options, *overrides]) == 2
    errors = capsys.readouterr().err
    assert re.search(message, errors)
    assert "Traceback" not in errors


def test_overrides_must_not_contradict_the_weights(
    devkit: Path, narrow_backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = miniature(narrow_backbone, data_root=devkit, output=tmp_path / "r")
    assert main([*options, "MODEL.RESNETS.WIDTH_PER_GROUP", "64"]) == 2
    assert "WIDTH_PER_GROUP = 64 contradicts the manifest of the weights, 4" in capsys.readouterr().err


LABELS = ["a\nb", "\x1b[2J", "\x1b]0;title\x07", "a\0b", "\u202eevil", "\u200bempty", "\x9b31m", "\udcff"]


@pytest.mark.parametrize("label", LABELS, ids=ascii)
def test_labels_that_no_table_can_show(label: str, refuse: Callable[..., None], devkit: Path) -> None:
    where = re.escape(f"the label {ascii(label)} has the character U+")
    refuse(*BASE, "--data-root", devkit, "--init", f"{label}=random", message=where)
    refuse(*BASE, "--data-root", devkit, "--init", f"{label}.pth", message=where)


def test_labels_in_files_are_refused_too(refuse: Callable[..., None], devkit: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("random\n\x1b[2J=random\n")
    options = [*BASE, "--data-root", devkit, "--init"]
    refuse(*options, f"@{tmp_path}/list.txt", message=r"list.txt:2: --init: the label '\\x1b\[2J' has")
    refuse(*options, " =random", message="the label '' has 0 characters; expected 1 to 100")
    refuse(*options, "l" * 101 + "=random", message="has 101 characters; expected 1 to 100")


def test_all_that_is_missing_is_said_at_once_and_nothing_is_fetched(
    refuse: Callable[..., None], devkit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(
        "benchmarks.planning.inits.cached", lambda name: fetched.append(name) or tmp_path / "none"
    )
    options = [*BASE, "--data-root", devkit, "--init", "supervised"]
    refuse(*options, "a=gone.pth", "b=lost.pth", message="a=gone.pth: no such file.*b=lost.pth: no such file")
    (tmp_path / "empty.pth").write_bytes(b"")
    refuse(*options, tmp_path / "empty.pth", message="empty.pth: .*empty")
    refuse(*options, "hf://someone/net", message="such an address is not fetched: download it first")
    refuse(*options, "x" * 5000, message="has 5000 characters")
    assert fetched == []


def test_a_refused_command_leaves_no_folder(refuse: Callable[..., None], tmp_path: Path) -> None:
    refuse(*BASE, "--init", "random", "--data-root", tmp_path / "none", message="is not a directory")
    refuse(*BASE, "--init", "gone.pth", "--data-root", tmp_path, message="no such file")
    assert list(tmp_path.iterdir()) == []


def test_missing_data_says_where_it_is_expected(refuse: Callable[..., None], tmp_path: Path) -> None:
    nowhere = miniature("random", data_root=tmp_path / "none")
    refuse(*nowhere, message="voc_2007_trainval expects there: VOC2007")


EDITS: dict[str, tuple[str, str, str]] = {
    "missing field": (r"<name>.*?</name>", "", "name"),
    "outside": (r"<xmax>\d+</xmax>", "<xmax>9999</xmax>", "xmax|9999"),
    "no area": (r"<xmax>\d+</xmax>", "<xmax>1</xmax>", "xmax|area"),
    "unknown class": (r"<name>.*?</name>", "<name>unicorn</name>", "unicorn"),
}


@pytest.mark.parametrize("kind", EDITS)
def test_wrong_annotations_are_named(
    kind: str, devkit: Path, tmp_path: Path, refuse: Callable[..., None]
) -> None:
    root = tmp_path / "kit"
    shutil.copytree(devkit, root)
    path = sorted((root / "VOC2007" / "Annotations").glob("*.xml"))[0]
    pattern, replacement, message = EDITS[kind]
    path.write_text(re.sub(pattern, replacement, path.read_text(), count=1))
    refuse(*BASE, "--init", "random", "--data-root", root, message=f"{path.name}.*({message})")


def test_a_missing_image_is_named(devkit: Path, tmp_path: Path, refuse: Callable[..., None]) -> None:
    root = tmp_path / "kit"
    shutil.copytree(devkit, root)
    image = sorted((root / "VOC2007" / "JPEGImages").glob("*.jpg"))[0]
    image.unlink()
    refuse(*BASE, "--init", "random", "--data-root", root, message=image.stem)


def test_more_gpus_than_there_are(refuse: Callable[..., None], devkit: Path) -> None:
    options = ["--suite", "voc_c4", "--smoke", "--data-root", devkit, "--init", "random", "--device", "cuda"]
    refuse(*options, "--num-gpus", "99", message=r"--num-gpus 99 .* this machine has \d+ CUDA devices")


def test_an_engine_that_is_not_there(refuse: Callable[..., None], devkit: Path) -> None:
    if detectron2_found():
        pytest.skip("Detectron2 is importable here, so nothing is missing")
    refuse(*miniature("random", data_root=devkit, engine="detectron2"), message="not importable")


def test_an_output_that_cannot_be_made(
    devkit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "closed").mkdir(mode=0o500)
    closed = [] if os.access(tmp_path / "closed", os.W_OK) else [tmp_path / "closed" / "inside"]  # root may
    for output in (tmp_path / "file", tmp_path / "file" / "inside", *closed):
        code = main(miniature("random", data_root=devkit, output=output))
        assert code == 2
        assert "choose another folder" in capsys.readouterr().err


@pytest.mark.slow
def test_a_full_disk_while_saving_ends_the_cell_and_keeps_what_was_saved(
    devkit: Path, tmp_path: Path, benchmark: Run
) -> None:
    """RLIMIT_FSIZE stands in for the disk: the checkpoint does not fit, the small files do."""
    command = [*miniature("random", data_root=devkit, output=tmp_path), *QUICK_KEYS]
    done = benchmark(*command, limit_file_size=200_000)
    assert done.returncode == 1, done.stderr
    assert re.search(
        r"error: voc_c4, random, seed 0: .*iter_0000002.pth: File too large \(\d\.\d MB are needed, .* MB "
        r"are free\); make room, and the same command goes on",
        done.stderr,
    )
    assert "1 cell is interrupted; the same command goes on" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("cells/voc_c4/*/iter_*.pth"))
    assert "interrupted" in next(tmp_path.glob("records/voc_c4/*.json")).read_text()
    assert benchmark(*command).returncode == 0
