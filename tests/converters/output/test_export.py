"""torchvision and timm read our output, and we know it again with all its facts."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file

from converters.__main__ import main
from converters.backbone import Backbone, load_backbone
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from converters.output.export import FLIPPED, export
from tests.converters.checkpoint_nets import Weights, source_features, tensors, to_detectron2
from tests.converters.foreign_names import caffe2
from tests.converters.safetensors_bytes import write

TIMM = Path(__file__).parents[1] / "timm_resnet50.json"  # recorded from timm itself, which is not installed
FORMS = {"safetensors": "out.safetensors", "torchvision": "out.pth", "detectron2": "out.pkl"}
PORTABLE = ("safetensors", "torchvision")


def state_of(path: Path) -> dict[str, torch.Tensor]:
    """As a reader that knows nothing of us."""
    return load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)


def features(net: torchvision.models.ResNet, image: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        stem = net.maxpool(net.relu(net.bn1(net.conv1(image))))
        return net.layer4(net.layer3(net.layer2(net.layer1(stem))))


def loaded(path: Path) -> torchvision.models.ResNet:
    """torchvision's network with this file: all but the classifier, and nothing else."""
    net = torchvision.models.resnet50(weights=None)
    result = net.load_state_dict(state_of(path), strict=False)
    assert result.missing_keys == ["fc.weight", "fc.bias"]
    assert result.unexpected_keys == []
    return net.eval()


@pytest.fixture(scope="module")
def raw(r50: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("in") / "a.safetensors", r50)


@pytest.mark.parametrize("form", PORTABLE)
def test_torchvision_computes_the_same(
    form: str, raw: Path, r50: Weights, image: torch.Tensor, tmp_path: Path
) -> None:
    assert main([str(raw), str(tmp_path / FORMS[form])]) == 0
    state = state_of(tmp_path / FORMS[form])
    assert state.keys() == r50.keys()
    assert all(torch.equal(state[name], value) for name, value in tensors(r50).items())
    assert torch.equal(features(loaded(tmp_path / FORMS[form]), image), source_features(r50, image))


@pytest.mark.parametrize("form", PORTABLE)
def test_names_and_shapes_are_timms(form: str, raw: Path, tmp_path: Path) -> None:
    expected = json.loads(TIMM.read_text())["tensors"]
    assert main([str(raw), str(tmp_path / FORMS[form])]) == 0
    found = {name: list(value.shape) for name, value in state_of(tmp_path / FORMS[form]).items()}
    assert found == {name: shape for name, shape in expected.items() if not name.startswith("fc.")}
    assert {"fc.weight", "fc.bias"} == expected.keys() - found.keys()


@pytest.mark.parametrize("form", PORTABLE)
def test_a_network_for_bgr_is_flipped_exactly(
    form: str, raw: Path, r50: Weights, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Raw pixels in, features out: the source with its BGR facts, the written file with those it states."""
    stated = ["--format", "BGR", "--pixel-mean", "1", "2", "3", "--pixel-std", "4", "5", "6"]
    path = tmp_path / FORMS[form]
    assert main([str(raw), str(path), *stated]) == 0
    told = capsys.readouterr().out
    assert "RGB, mean [3.0, 2.0, 1.0], std [6.0, 5.0, 4.0]" in told
    assert f"note: {FLIPPED}" in told
    facts = open_checkpoint(path).manifest
    assert (facts["input_format"], facts["pixel_mean"], facts["pixel_std"]) == ("RGB", [3, 2, 1], [6, 5, 4])
    stem = state_of(path)["conv1.weight"].numpy()
    np.testing.assert_array_equal(stem[:, [2, 1, 0]], r50["conv1.weight"])

    rgb = 255 * torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(facts[key]).view(1, 3, 1, 1) for key in ("pixel_mean", "pixel_std"))
    given = [torch.tensor(numbers).view(1, 3, 1, 1) for numbers in ([1.0, 2, 3], [4.0, 5, 6])]
    expected = source_features(r50, (rgb.flip(1) - given[0]) / given[1])
    assert distance(features(loaded(path), (rgb - mean) / std), expected) < 1e-4  # sums in another order
    assert distance(features(loaded(path), (rgb.flip(1) - mean) / std), expected) > 0.1


def distance(one: torch.Tensor, two: torch.Tensor) -> float:
    return float((one - two).norm() / two.norm())


@pytest.mark.parametrize("form", PORTABLE)
def test_strides_in_the_1x1_are_refused(
    form: str, tiny: Weights, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    msra = write(tmp_path / "R-50.safetensors", caffe2(tiny))
    output = tmp_path / FORMS[form]
    assert main([str(msra), str(output)]) == 2
    told = capsys.readouterr().err
    assert "strides in the 1x1" in told
    assert told.count("\n") == 1
    assert not output.exists()
    assert main([str(msra), str(output), "--stride-in-1x1", "false"]) == 0
    assert main([str(msra), str(tmp_path / "out.pkl")]) == 0


@pytest.fixture
def backbone(tiny: Weights, tmp_path: Path) -> Backbone:
    path = write(tmp_path / "a.safetensors", {f"module.encoder_q.{n}": a for n, a in tiny.items()})
    return open_checkpoint(
        path, pixel_mean=[1, 2, 3], pixel_std=[4, 5, 6], stride_in_1x1=False, input_format="RGB"
    )


@pytest.mark.parametrize("form", FORMS)
def test_every_output_is_known_again_with_all_its_facts(
    form: str, backbone: Backbone, tiny: Weights, tmp_path: Path
) -> None:
    """`--init` reads the same manifest, weights and identity as of the backbone before."""
    path = tmp_path / FORMS[form]
    assert export(backbone, path, form).manifest == backbone.manifest
    for again in (load_backbone(path), open_checkpoint(path)):
        assert again.manifest == backbone.manifest
        assert again.content_sha256() == backbone.content_sha256()
        assert again.weights.keys() == {to_detectron2(name) for name in tiny}
    export(load_backbone(path), tmp_path / "last.pkl", "detectron2")
    export(backbone, tmp_path / "direct.pkl", "detectron2")
    assert (tmp_path / "last.pkl").read_bytes() == (tmp_path / "direct.pkl").read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_same_backbone_same_bytes(form: str, backbone: Backbone, tmp_path: Path) -> None:
    for name in ("1.bin", "2.bin"):
        export(backbone, tmp_path / name, form)
    assert (tmp_path / "1.bin").read_bytes() == (tmp_path / "2.bin").read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_the_manifest_is_where_readers_pass_over_it(backbone: Backbone, tmp_path: Path) -> None:
    for form in PORTABLE:
        export(backbone, tmp_path / FORMS[form], form)
    with safe_open(tmp_path / "out.safetensors", "np") as file:
        header = file.metadata()
    assert header["format"] == "pt"
    assert json.loads(header["moco_transfer_manifest"]) == backbone.manifest
    with zipfile.ZipFile(tmp_path / "out.pth") as archive:
        assert archive.testzip() is None
        inside = json.loads(archive.read("archive/moco_transfer.json"))
    assert json.loads(inside["moco_transfer_manifest"]) == backbone.manifest
    state = torch.load(tmp_path / "out.pth", mmap=True, weights_only=True)
    assert type(state) is dict
    assert all(type(value) is torch.Tensor for value in state.values())


@pytest.mark.parametrize("form", PORTABLE)
def test_other_weights_under_our_manifest_are_refused(form: str, backbone: Backbone, tmp_path: Path) -> None:
    path = tmp_path / FORMS[form]
    name = "res3.1.conv2.weight"
    export(replace(backbone, weights={**backbone.weights, name: backbone.weights[name] + 1}), path, form)
    other = path.read_bytes()
    export(backbone, path, form)
    ours = path.read_bytes()
    one, two = backbone.weights[name].tobytes(), (backbone.weights[name] + 1).tobytes()
    assert (ours.count(one), other.count(two)) == (1, 1)
    path.write_bytes(ours.replace(one, two))
    with pytest.raises(
        CheckpointError, match="damaged or edited" if form == "safetensors" else "CRC|damaged"
    ):
        open_checkpoint(path)


@pytest.mark.parametrize("facts", ["{", '"text"', "[" * 9_000, "{}", "null", '{"depth": 50}'])
def test_a_forged_manifest_is_refused(facts: str, tiny: Weights, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write(path, tiny)
    whole = path.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size]) | {"__metadata__": {"moco_transfer_manifest": facts}}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + size :])
    with pytest.raises(CheckpointError) as refusal:
        open_checkpoint(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"[" * 9_000, b"x" * 2_000_000, b'{"moco_transfer_manifest": 3}']
)
def test_a_forged_member_of_a_torch_archive_is_harmless(
    content: bytes, tiny: Weights, tmp_path: Path
) -> None:
    path = tmp_path / "a.pth"
    torch.save(tensors(tiny), path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a/moco_transfer.json", content)
    if content == b"[]":  # no manifest: what is left is torchvision's file
        assert open_checkpoint(path).manifest["source"] == "torchvision"
        return
    with pytest.raises(CheckpointError) as refusal:
        open_checkpoint(path)
    assert "\n" not in str(refusal.value)


def test_a_state_dict_saved_anew_is_a_plain_one(backbone: Backbone, tmp_path: Path) -> None:
    """torch.save writes no member of ours: its pixels are torchvision's again, see the docs."""
    export(backbone, tmp_path / "out.pth", "torchvision")
    torch.save(torch.load(tmp_path / "out.pth", weights_only=True), tmp_path / "anew.pth")
    assert open_checkpoint(tmp_path / "anew.pth").manifest["source"] == "torchvision"
