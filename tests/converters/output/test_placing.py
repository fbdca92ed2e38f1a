"""Where the command writes: no file of the user's is lost, and no suffix lies about the content."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from converters.__main__ import main
from converters.backbone import load_backbone
from converters.containers.reading import open_file
from tests.converters.checkpoint_nets import Weights, tensors
from tests.converters.hostile_pickles import CALLS, MARKER
from tests.converters.safetensors_bytes import write

CONTAINERS = {"pkl": "pickle", "pth": "torch zip", "pt": "torch zip", "safetensors": "safetensors"}


@pytest.fixture
def raw(tiny: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "moco.pth"
    torch.save({"state_dict": tensors(tiny), "optimizer": {"lr": 0.03}}, path)
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line of a refused command; no file of the folder may have changed."""
    before = {path: path.lstat().st_mtime_ns for path in Path.cwd().rglob("*")}
    assert main([str(argument) for argument in arguments]) == 2
    assert {path: path.lstat().st_mtime_ns for path in Path.cwd().rglob("*")} == before
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    return told.err


def test_the_input_is_never_overwritten(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.link(raw, "hard.pth")
    Path("soft.pth").symlink_to(raw)
    Path("folder").mkdir()
    Path("way").symlink_to("folder")
    whole = raw.read_bytes()
    spellings = (
        "moco.pth",
        "./moco.pth",
        str(raw),
        "folder/../moco.pth",
        "way/../moco.pth",
        "hard.pth",
        "soft.pth",
    )
    for output in spellings:
        for force in ((), ("--force",)):
            assert "is the input itself" in refused(capsys, raw, output, *force), output
            assert "is the input itself" in refused(capsys, output, "moco.pth", *force), output
    assert raw.read_bytes() == whole


def test_the_files_of_a_folder_are_the_input_too(
    tiny: Weights, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("hf").mkdir()
    write(Path("hf/model.safetensors"), tiny)
    Path("hf/config.json").write_text("{}")
    for name in ("model.safetensors", "config.json"):
        to = ("--to", "safetensors") if name == "config.json" else ()
        assert "is the input itself" in refused(capsys, "hf", f"hf/{name}", "--force", *to)


def test_a_second_checkpoint_of_a_glob_survives(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = Path("second.pth")
    second.write_bytes(raw.read_bytes() + b"")
    told = refused(capsys, *sorted(Path.cwd().glob("*.pth")))
    assert "second.pth: exists and is no backbone that this tool wrote" in told
    assert "--force" in told
    assert main([str(raw), "second.pth", "--force"]) == 0
    assert load_backbone("second.pth").manifest["source_file"] == "moco.pth"


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_only_a_backbone_of_ours_is_overwritten_unasked(
    suffix: str, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = f"out.{suffix}"
    for content in (b"", b"text", b"{}", pickle.dumps({"model": {}}), b"\x80\x02cos\nsystem\n."):
        Path(output).write_bytes(content)
        assert "exists and is no backbone" in refused(capsys, raw, output)
        assert Path(output).read_bytes() == content
    Path(output).write_bytes(CALLS["reduce-2"]("os", "system", f"touch {MARKER}"))
    assert "exists and is no backbone" in refused(capsys, raw, output)
    assert not Path(MARKER).exists()
    Path(output).unlink()
    assert main([str(raw), output]) == 0
    first = Path(output).read_bytes()
    assert main([str(raw), output]) == 0  # its own
    assert Path(output).read_bytes() == first
    assert main([str(raw), f"other.{suffix}"]) == 0
    capsys.readouterr()
    assert "the input is a backbone too" in refused(capsys, output, f"other.{suffix}")
    assert main([output, f"other.{suffix}", "--force"]) == 0


def test_what_is_no_regular_file_is_left_alone(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe.pkl")
    Path("taken.pkl").mkdir()
    Path("dangling.pkl").symlink_to("nowhere.pkl")
    assert "not a regular file" in refused(capsys, raw, "pipe.pkl", "--force")
    assert "is a folder" in refused(capsys, raw, "taken.pkl", "--force")
    assert "exists and is no backbone" in refused(capsys, raw, "dangling.pkl")
    assert "folder does not exist" in refused(capsys, raw, "no/out.pkl", "--force")


@pytest.mark.parametrize("suffix", [*CONTAINERS, "PKL", "Safetensors"])
def test_the_suffix_decides_the_form(suffix: str, raw: Path) -> None:
    assert main([str(raw), f"out.{suffix}"]) == 0
    assert open_file(f"out.{suffix}").container == CONTAINERS[suffix.lower()]
    assert load_backbone(f"out.{suffix}").manifest["source_file"] == "moco.pth"


@pytest.mark.parametrize(
    ("output", "target", "message"),
    [
        ("x.safetensors", "detectron2", "its suffix means --to safetensors, not detectron2; expected .pkl"),
        ("x.pth", "detectron2", "its suffix means --to torchvision"),
        ("x.pt", "safetensors", "its suffix means --to torchvision"),
        ("x.pkl", "torchvision", "expected .pth or .pt, or leave --to out"),
        ("x", None, "its suffix does not say what to write; expected .pkl, .safetensors, .pth, .pt"),
        ("x.pth.tar", None, "its suffix does not say"),
        ("x.bin", None, "or add --to detectron2|torchvision|safetensors"),
    ],
)
def test_a_suffix_that_lies_or_says_nothing_is_refused(
    output: str, target: str | None, message: str, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, raw, output, *(["--to", target] if target else []))


@pytest.mark.parametrize("target", ["detectron2", "torchvision", "safetensors"])
def test_an_unknown_suffix_takes_what_is_stated(target: str, raw: Path) -> None:
    assert main([str(raw), "out.bin", "--to", target]) == 0
    assert load_backbone("out.bin").manifest["source_file"] == "moco.pth"
