"""Runs the command of the certificate: against timm by name, a checkout's code and stored features."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from converters.__main__ import main
from converters.backbone import load_backbone
from converters.certify import child
from converters.certify.certificate import standing
from converters.certify.features import MAP, read_features
from converters.certify.images import digest, image, sizes
from converters.certify.timm_model import timm_reference
from converters.errors import CheckpointError
from tests.conftest import ROOT
from tests.converters.models.vit_cases import PLAIN, timm_model, trained

timm = pytest.importorskip("timm", reason="timm is not installed")
SIZE = ["--size", "56x56", "48x72"]
OPTIONS = ["--source", "timm_vit", *SIZE]
CODE = """
import torch
from tests.converters.models.vit_cases import timm_model


class Net(torch.nn.Module):
    stride = 8

    def __init__(self, path):
        super().__init__()
        self.net = timm_model("one head")
        self.net.load_state_dict(torch.load(path))

    def forward(self, x):
        assert not self.training
        return {output}
"""
# Run by a copy in the folder argv[1], which stands where an installation does: behind the standard library.
INSTALLED = """
import sys
from pathlib import Path
place = next(n for n, path in enumerate(sys.path) if "site-packages" in path)
sys.path.insert(place, sys.argv[1])
from converters.certify import reference
assert reference.__file__.startswith(sys.argv[1])
reference.compute(sys.argv[2], Path("file"), {}, [(8, 8)])
"""
BROKEN = """
def broken(path):
    raise RuntimeError("no such thing")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vit.pth"
    torch.save(trained(timm_model("one head")).state_dict(), path)
    return path


def _checkout(folder: Path, output: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "their_code.py").write_text(CODE.replace("{output}", output))
    return f"torch:{folder}:their_code:Net"


def test_timm_reads_the_original_by_its_own_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "tiny.pth", tmp_path / "out.pkl"
    model = timm.create_model("vit_tiny_patch16_224.augreg_in21k_ft_in1k")
    torch.save(trained(model).state_dict(), path)
    half = ["127.5"] * 3
    options = ["--source", "timm_vit", "--pixel-mean", *half, "--pixel-std", *half]
    against = ["--against", "timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k"]
    assert main(["certify", str(path), str(out), *against, *options, "--size", "224x224"]) == 0
    told = capsys.readouterr().out
    assert "ViT-Ti/16 of timm_vit computes what timm" in told
    assert "half" not in told
    written = load_backbone(out)
    assert standing(written.manifest, written.content_sha256()) == "certified"
    assert main(["certify", str(path), *against, "--source", "timm_vit", "--size", "224x224"]) == 2
    assert "not certified: its pixels have mean 123.675" in capsys.readouterr().err


def test_a_file_that_lost_its_layer_scale_is_told_by_timm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """facebookresearch/dinov2 #65, where a script between dropped what its network did not have."""
    model = timm.create_model("vit_small_patch14_reg4_dinov2", num_classes=0)
    lost = {name: tensor for name, tensor in trained(model).state_dict().items() if ".ls" not in name}
    torch.save(lost, tmp_path / "lost.pth")
    with pytest.raises(CheckpointError) as error:
        timm_reference("vit_small_patch14_reg4_dinov2", tmp_path / "lost.pth", [0], [(56, 56)])
    assert "layer scale was lost on the way" in str(error.value)


def test_code_of_a_checkout(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    against = _checkout(tmp_path / "theirs", "self.net.forward_features(x)")  # tokens behind the norm
    features = tmp_path / "features.npz"
    options = ["--source", "timm_vit", "--size", "56x56"]
    assert main(["certify", str(file), "--against", against, *options, "--write", str(features)]) == 0
    told = capsys.readouterr()
    assert "code that you must trust" in told.err
    assert "maps of their_code:Net of theirs on 1 images" in told.out
    assert main(["certify", str(file), "--against", str(features), *options]) == 0
    assert "maps:        norm" in capsys.readouterr().out
    assert main(["certify", str(file), "--against", str(features), "--source", "timm_vit"]) == 2
    assert "its images are not the wanted ones; say --size 56x56" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "name"),
    [("{'p': x[:, :, ::4, ::8]}", "p"), ("x[:, :, ::4, ::8]", MAP), ("torch.ones(1, 5 + 84, 3)", MAP)],
)
def test_a_child_takes_maps_tables_and_tokens(
    output: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "theirs"
    checkout.mkdir()
    code = "import torch\n\nclass Net(torch.nn.Module):\n    _out_feature_strides = {'p': 16}\n"
    code += "    def __init__(self, path):\n        super().__init__()\n"
    code += f"    def forward(self, x):\n        return {output}\n"
    (checkout / f"code_{name}_{len(output)}.py").write_text(code)
    monkeypatch.setattr(sys, "path", list(sys.path))
    job = {"checkout": str(checkout), "module": f"code_{name}_{len(output)}", "name": "Net", "file": ""}
    assert child.main({**job, "out": str(tmp_path / "out.npz"), "sizes": [(56, 96)]}) == 0
    found = read_features(tmp_path / "out.npz", [(56, 96)])
    assert found.stride == 16
    assert found.maps[0][name].shape == ((3, 14, 12) if "x[" in output else (3, 7, 12))


def test_code_that_fails_is_one_line(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "their_code.py").write_text(BROKEN)
    against = f"torch:{tmp_path}:their_code:broken"
    assert main(["certify", str(file), "--against", against, *OPTIONS]) == 2
    assert "their_code:broken of" in (told := capsys.readouterr().err)
    assert told.strip().endswith("failed: RuntimeError: no such thing")


def test_the_child_of_an_installed_copy_has_the_standard_library_first(tmp_path: Path) -> None:
    """Backports of others lie beside an installed copy; the code is reached, and fails by itself."""
    packages, checkout = tmp_path / "packages", tmp_path / "theirs"
    shutil.copytree(
        ROOT / "converters", packages / "converters", ignore=shutil.ignore_patterns("__pycache__")
    )
    (packages / "typing.py").write_text("raise ImportError('a backport')")
    checkout.mkdir()
    (checkout / "their_code.py").write_text("raise RuntimeError('reached')")
    words = [sys.executable, "-c", INSTALLED, str(packages), f"torch:{checkout}:their_code:Net"]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(words, cwd=tmp_path, env=own, capture_output=True, text=True)
    assert done.stderr.strip().endswith(f"their_code:Net of {checkout} failed: RuntimeError: reached")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "certify takes INPUT and --against REFERENCE"),
        (["--against", "timm:vit_huge_nonsense"], "timm cannot load"),
        (["--against", "torch:nowhere:x:y"], "expected torch:CHECKOUT:MODULE:CALLABLE"),
        (["--against", "features.npz"], "features.npz: no such file; expected timm:NAME"),
        (["--against", "{file}"], "no file of features"),
        (
            ["--against", "timm:vit_tiny_patch16_224", "--size", "57x56"],
            "--size 57x56: expected HEIGHTxWIDTH",
        ),
        (["--against", "timm:vit_tiny_patch16_224", "--size", "big"], "multiples of 8 pixels, as 16x24"),
    ],
)
def test_what_cannot_be_compared(
    file: Path, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [option.replace("{file}", str(file)) for option in options]
    assert main(["certify", str(file), "--source", "timm_vit", *options]) == 2
    error = capsys.readouterr().err.strip()
    assert told in error
    assert "\n" not in error


@pytest.mark.parametrize("kept", [0, 40, 400])
def test_a_damaged_file_of_features_is_one_line(
    file: Path, kept: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = tmp_path / "features.npz"
    np.savez(features, facts=np.array("{}"), other=np.ones(100))
    features.write_bytes(features.read_bytes()[:kept])
    assert main(["certify", str(file), "--source", "timm_vit", "--against", str(features)]) == 2
    error = capsys.readouterr().err.strip()
    assert "no file of features of `certify --write`" in error
    assert "\n" not in error


def test_timms_swin_is_held_at_its_own_size_alone(tmp_path: Path) -> None:
    torch.save(timm.create_model("swin_tiny_patch4_window7_224").state_dict(), tmp_path / "swin.pth")
    with pytest.raises(CheckpointError) as error:
        timm_reference("swin_tiny_patch4_window7_224", tmp_path / "swin.pth", [], [(224, 256)])
    assert "one function at 224x224 alone; say --size 224x224" in str(error.value)


@pytest.mark.parametrize("name", ["convnext_atto", "resnet18"])
def test_families_with_stages(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = trained(timm.create_model(name))
    for place, buffer in model.named_buffers():
        if place.endswith("running_var"):
            torch.nn.init.uniform_(buffer, 0.5, 2)
    torch.save(model.state_dict(), tmp_path / "file.pth")
    options = ["--against", f"timm:{name}", "--size", "64x96", "96x64"]
    assert main(["certify", str(tmp_path / "file.pth"), *options]) == 0
    told = capsys.readouterr().out
    assert "res2, res3, res4, res5" in told or "stage1, stage2, stage3, stage4" in told
    assert "stride:      32" in told


def test_images_are_the_same_everywhere() -> None:
    """Whoever changes them makes every stored file of features worthless."""
    assert digest([(32, 48)])[:12] == "94ca1f1cda3d"
    assert abs(image((64, 64)).std() - 1) < 0.1


def test_sizes_are_the_networks_own() -> None:
    assert sizes({**PLAIN, "patch_size": 14, "pos_tokens": 1370}) == ((518, 518), (392, 658), (1036, 1036))
    assert sizes({**PLAIN, "patch_size": 16, "pos_tokens": 0, "pos_prefix": 0})[0] == (224, 224)
    assert sizes({"depth": 50}) == ((224, 224), (192, 288), (1024, 1024))
