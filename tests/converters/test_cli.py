"""The command line: what it prints, its exit codes, how it starts; and the page made from the table."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from converters.__main__ import main
from converters.backbone import load_backbone
from converters.output.docs_page import page
from converters.publishers.table import SOURCES
from tests.converters.checkpoint_nets import Weights, tensors
from tests.converters.foreign_names import prefixed
from tests.converters.safetensors_bytes import write

ROOT = Path(__file__).parents[2]


@pytest.fixture
def moco(tiny: Weights, tmp_path: Path) -> Path:
    half = {name: array if array.ndim == 0 else array / 2 for name, array in tiny.items()}
    state = prefixed(tiny, "module.encoder_q.") | prefixed(half, "module.encoder_k.")
    state |= {"module.queue": np.ones((4, 4), "f4"), "module.encoder_q.fc.0.weight": np.ones((4, 4), "f4")}
    path = tmp_path / "moco.pth.tar"
    torch.save({"epoch": 1, "state_dict": tensors(state), "optimizer": {"state": {}}}, path)
    return path


def test_convert(moco: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Weights) -> None:
    assert main([str(moco), str(tmp_path / "out.pkl")]) == 0
    told = capsys.readouterr().out
    assert "all 318 tensors of a ResNet-50" in told
    assert "source moco, online encoder, from state_dict:module.encoder_q." in told
    assert "two encoders; taken: online" in told
    weights = load_backbone(tmp_path / "out.pkl").weights
    np.testing.assert_array_equal(weights["stem.conv1.weight"], tiny["conv1.weight"])


def test_options_reach_the_manifest(moco: Path, tmp_path: Path) -> None:
    options = ["--encoder", "ema", "--source", "moco", "--format", "BGR", "--stride-in-1x1", "true"]
    options += ["--pixel-mean", "1", "2", "3", "--pixel-std", "4", "5", "6"]
    assert main([str(moco), str(tmp_path / "out.pkl"), *options]) == 0
    facts = load_backbone(tmp_path / "out.pkl").manifest
    assert (facts["encoder"], facts["input_format"], facts["stride_in_1x1"]) == ("ema", "BGR", True)
    assert (facts["pixel_mean"], facts["pixel_std"]) == ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])


def test_inspect(moco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--inspect", str(moco)]) == 0
    told = capsys.readouterr().out
    for part in (
        "torch zip",
        "state_dict:encoder_q. [torchvision] complete: ResNet-50, groups 1, width 2, stem 2, res2 8",
        "state_dict:encoder_k. [torchvision] complete",
        "moco (MoCo v1/v2",
        "online encoder",
        "module.encoder_q.fc.*",
        "module.queue",
        "module.encoder_k.*",
        "no findings",
    ):
        assert part in told, part


def test_inspect_tells_why_a_file_is_refused(
    tiny: Weights, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del (changed := dict(tiny))["layer2.0.conv1.weight"]
    assert main(["--inspect", str(write(tmp_path / "a.safetensors", changed))]) == 2
    told = capsys.readouterr().out
    assert "refused:" in told
    assert "1 missing: res3.0.conv1.weight" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.pth", "out.pkl"], "no such file"),
        ([], "INPUT and OUTPUT are needed"),
        (["--inspect", "."], "is a folder"),
        (["--inspect", "a.pth", "b.pth"], "takes one file; b.pth is one more"),
    ],
)
def test_errors_are_one_line_and_code_2(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert message in told.err
    assert told.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "option",
    [
        ["--to", "detectron2"],
        ["--source", "moco"],
        ["--encoder", "ema"],
        ["--prefix", "a"],
        ["--format", "BGR"],
        ["--stride-in-1x1", "true"],
        ["--pixel-mean", "1", "2", "3"],
        ["--pixel-std", "1", "2", "3"],
        ["--inspect", "a.pth"],
    ],
    ids=lambda option: option[0],
)
def test_an_option_given_twice_is_refused(
    option: list[str], moco: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(moco), str(tmp_path / "out.pkl"), *option, *option])
    assert stop.value.code == 2
    assert f"argument {option[0]}: given twice" in capsys.readouterr().err
    assert not (tmp_path / "out.pkl").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--pixel-mean nan 1 1", "argument --pixel-mean: expected a finite number, got 'nan'"),
        ("--pixel-std 0 1 1", "argument --pixel-std: expected a number above 0, got '0'"),
        ("--pixel-std inf 1 1", "argument --pixel-std: expected a finite number, got 'inf'"),
    ],
)
def test_numbers_that_no_pixel_has(
    words: str, says: str, moco: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(moco), "out.pkl", *words.split()])
    assert stop.value.code == 2
    assert says in capsys.readouterr().err


def test_a_fact_given_twice_is_refused(moco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(moco), "out.pkl", "--fact", "depth=50", "--fact", "depth=101"]) == 2
    assert "--fact depth=101: depth is given twice; it takes one value" in capsys.readouterr().err


def test_checks_to_accept_add_up(tiny: Weights, tmp_path: Path) -> None:
    still = {n: np.ones_like(a) if n.endswith("running_var") else np.zeros_like(a) for n, a in tiny.items()
             if n.startswith("layer4") and "running" in n}  # fmt: skip
    path = write(tmp_path / "a.safetensors", tiny | still)
    assert main([str(path), str(tmp_path / "out.pkl")]) == 2
    for checks in (["untrained", "fused-bn"], ["fused-bn", "untrained"]):
        options = [part for check in checks for part in ("--accept", check)]
        assert main([str(path), str(tmp_path / "out.pkl"), *options]) == 0


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(source.title in line for source, line in zip(SOURCES, lines[1:-1], strict=True))
    assert "timm/NAME" in lines[-1]


def test_help_starts_quickly_and_reading_needs_no_torch(moco: Path, tmp_path: Path) -> None:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "converters", "--help"], cwd=ROOT, check=True, capture_output=True)
    assert time.perf_counter() - start < 2  # 0.1 s on an idle machine
    output = str(tmp_path / "o.pkl")
    code = (
        "import sys; from converters.convert import open_checkpoint as read;"
        "from converters.backbone import save_backbone as save;"
        f"save(read({str(moco)!r}), {output!r}); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_page_is_up_to_date() -> None:
    """After a change of the tables: `python -m converters.output.docs_page > docs/checkpoints.md`."""
    assert (ROOT / "docs" / "checkpoints.md").read_text(encoding="utf-8") == page()


def test_page_names_every_source_and_its_evidence() -> None:
    for source in SOURCES:
        assert f"`{source.name}`" in page()
        assert source.reference in page()
