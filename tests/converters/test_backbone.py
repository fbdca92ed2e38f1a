"""The written file: deterministic, protocol 2, readable by numpy 1 and plain pickle, proven when read."""

from __future__ import annotations

import json
import pickle
import pickletools
import re
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from converters.backbone import Backbone, CheckpointError, expected_shapes, load_backbone, save_backbone
from converters.convert import open_checkpoint
from converters.output.export import export
from converters.output.placing import SUFFIXES
from pretrain.networks.encoders import make_encoder_factory
from tests.converters.checkpoint_nets import Weights
from tests.converters.safetensors_bytes import write


@pytest.fixture(scope="module")
def backbone(tiny: Weights, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return open_checkpoint(write(tmp_path_factory.mktemp("in") / "a.safetensors", tiny))


def test_protocol_2_and_names_that_numpy_1_has(backbone: Backbone, tmp_path: Path) -> None:
    save_backbone(backbone, tmp_path / "b.pkl")
    raw = (tmp_path / "b.pkl").read_bytes()
    operations = list(pickletools.genops(raw))
    assert operations[0][0].name == "PROTO"
    assert operations[0][1] == 2
    # Bytes have no opcode before protocol 3; converters/containers/pickles/writer.py says why.
    assert {operation.name for operation, _, _ in operations if operation.proto > 2} == {"BINBYTES"}
    names = {argument for operation, argument, _ in operations if operation.name == "GLOBAL"}
    assert names == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}


@pytest.mark.parametrize("encoding", ["ASCII", "latin1", "bytes"])
def test_plain_pickle_reads_it(encoding: str, backbone: Backbone, tmp_path: Path) -> None:
    save_backbone(backbone, tmp_path / "b.pkl")
    content = pickle.loads((tmp_path / "b.pkl").read_bytes(), encoding=encoding)
    assert content["matching_heuristics"] is True
    assert content["__author__"] != "Caffe2"
    for name, array in content["model"].items():
        assert type(array) is np.ndarray
        assert array.flags.c_contiguous
        assert array.flags.writeable
        np.testing.assert_array_equal(array, backbone.weights[name])
        assert array.shape == backbone.weights[name].shape
    assert content["moco_transfer_manifest"] == backbone.manifest


def test_same_input_same_bytes(tiny: Weights, tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", tiny)
    for name in ("1.pkl", "2.pkl"):
        save_backbone(open_checkpoint(path), tmp_path / name)
    save_backbone(open_checkpoint(tmp_path / "1.pkl"), tmp_path / "3.pkl")
    first = (tmp_path / "1.pkl").read_bytes()
    assert first == (tmp_path / "2.pkl").read_bytes() == (tmp_path / "3.pkl").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.pkl", "2.pkl", "3.pkl", "a.safetensors"]


def test_round_trip(backbone: Backbone, tmp_path: Path) -> None:
    save_backbone(backbone, tmp_path / "b.pkl")
    again = load_backbone(tmp_path / "b.pkl")
    assert again.manifest == backbone.manifest
    assert again.content_sha256() == backbone.content_sha256()
    assert {n: (a.dtype, a.shape) for n, a in again.weights.items()} == {
        n: (a.dtype, a.shape) for n, a in backbone.weights.items()
    }


def test_manifest_holds_json_and_the_facts(backbone: Backbone) -> None:
    facts = json.loads(json.dumps(backbone.manifest))
    assert facts == backbone.manifest
    assert facts["source_file"] == "a.safetensors"
    assert len(facts["source_sha256"]) == 64
    assert (facts["depth"], facts["groups"], facts["num_tensors"]) == (50, 1, 318)
    assert (facts["width_per_group"], facts["stem_out_channels"], facts["res2_out_channels"]) == (2, 2, 8)


def test_content_hash_moves_with_numbers_only(backbone: Backbone) -> None:
    def changed(**facts: object) -> str:
        return replace(backbone, manifest=backbone.manifest | facts).content_sha256()

    same = backbone.content_sha256()
    assert changed(source="other", notes=["x"], source_file="y") == same
    for key, value in (("stride_in_1x1", True), ("input_format", "BGR"), ("pixel_std", [1.0, 1.0, 1.0])):
        assert changed(**{key: value}) != same
    weights = dict(backbone.weights)
    weights["stem.conv1.norm.bias"] = weights["stem.conv1.norm.bias"] + 1
    assert Backbone(weights, backbone.manifest).content_sha256() != same


@pytest.mark.parametrize("spoil", ["missing", "extra", "dtype", "shape", "manifest", "pixel", "depth"])
def test_incomplete_backbones_are_neither_written_nor_read(
    spoil: str, backbone: Backbone, tmp_path: Path
) -> None:
    weights, manifest = dict(backbone.weights), dict(backbone.manifest)
    name = "res3.0.conv1.weight"
    if spoil == "missing":
        del weights[name]
    elif spoil == "extra":
        weights["stem.fc.weight"] = weights[name]
    elif spoil == "dtype":
        weights[name] = weights[name].astype("f8")
    elif spoil == "shape":
        weights[name] = weights[name][:-1]
    elif spoil == "manifest":
        del manifest["encoder"]
    elif spoil == "pixel":
        manifest["pixel_std"] = [1.0, 0.0, 1.0]
    else:
        manifest["depth"] = 101
    with pytest.raises(CheckpointError):
        save_backbone(Backbone(weights, manifest), tmp_path / "b.pkl")
    assert not list(tmp_path.iterdir())


def test_load_backbone_refuses_raw_checkpoints(tiny: Weights, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a converted backbone"):
        load_backbone(write(tmp_path / "a.safetensors", tiny))


def test_unwritable_places_leave_nothing(backbone: Backbone, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="folder does not exist"):
        save_backbone(backbone, tmp_path / "no" / "b.pkl")
    (tmp_path / "taken").mkdir()
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_backbone(backbone, tmp_path / "taken")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_an_old_file_survives_a_failed_write(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.pkl"
    save_backbone(backbone, path)
    before = path.read_bytes()

    def full(write: object, value: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("converters.backbone.write_pickle", full)
    with pytest.raises(CheckpointError, match=r"b\.pkl: No space left on device \(0\.\d MB are needed, "):
        save_backbone(backbone, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["b.pkl"]


@pytest.mark.parametrize("name", ["b.pkl", "b.pth", "b.safetensors"])
def test_a_full_disk_is_told_with_the_room_it_needs(name: str, backbone: Backbone, tmp_path: Path) -> None:
    """A limit on the size of files is what every machine has; EFBIG then, where a full disk says ENOSPC."""
    size = sum(array.nbytes for array in backbone.weights.values()) / 1e6
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(CheckpointError) as told:
            export(backbone, tmp_path / name, SUFFIXES[Path(name).suffix])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    start = re.escape(f"{tmp_path / name}: File too large ({size:.1f} MB are needed, ")
    assert re.fullmatch(start + r"\d+\.\d MB are free\); make room, and .*", str(told.value))
    assert list(tmp_path.iterdir()) == []


def test_contract_of_expected_shapes() -> None:
    shapes = expected_shapes()
    assert len(shapes) == 318
    assert sum(not name.endswith("num_batches_tracked") for name in shapes) == 265
    assert shapes["stem.conv1.weight"] == (64, 3, 7, 7)
    assert shapes["res5.0.shortcut.weight"] == (2048, 1024, 1, 1)
    with pytest.raises(ValueError, match="depth 26"):
        expected_shapes(depth=26)
    with pytest.raises(ValueError, match="as wide as res2"):
        expected_shapes(depth=34)


@pytest.mark.parametrize("arch", ["resnet18", "resnet34"])
@pytest.mark.parametrize("width", ["", "w0.25x"])
def test_basic_blocks_are_torchvisions(arch: str, width: str, tmp_path: Path) -> None:
    """Every tensor of torchvision's file has its place, keeps its values, and comes back by its own name."""
    network = make_encoder_factory(arch + width, dim=5)()
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
    torch.save(network.state_dict(), tmp_path / "r.pth")
    backbone = open_checkpoint(tmp_path / "r.pth")
    facts = {name: backbone.manifest[name] for name in ("depth", "groups", "width_per_group")}
    channels = 16 if width else 64
    assert facts == {"depth": int(arch.removeprefix("resnet")), "groups": 1, "width_per_group": channels}
    assert backbone.manifest["stem_out_channels"] == backbone.manifest["res2_out_channels"] == channels
    own = {n: v for n, v in network.state_dict().items() if not n.startswith("fc.")}
    assert len(backbone.weights) == len(own)
    np.testing.assert_array_equal(
        backbone.weights["res4.0.shortcut.weight"], own["layer3.0.downsample.0.weight"].numpy()
    )
    export(backbone, tmp_path / "back.pth", "torchvision")
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    back = back.get("state_dict", back)
    assert {name: value.shape for name, value in back.items()} == {n: v.shape for n, v in own.items()}
    assert all(torch.equal(back[name], value) for name, value in own.items())
