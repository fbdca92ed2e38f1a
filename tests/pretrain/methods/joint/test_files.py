"""Files of every row are read as their publishers read them, and known to our converters as themselves."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import resnet50

from converters.convert import open_checkpoint
from pretrain.methods.choose import joint_row
from pretrain.methods.joint.frame import JointEmbedding
from pretrain.networks.encoders import feature_width, make_encoder_factory
from pretrain.training import checkpoint
from pretrain.training.load_encoder import load_encoder
from pretrain.training.start import put_in_place, read_start
from pretrain.training.state import RunState
from pretrain.training.totals import Totals
from tests.pretrain.methods.joint.cases import TINY, tiny_row

# The source that converters name, and what a linear script keeps: entry, beginning of names, but not these.
READ = {
    "simclr": ("pretrain_simclr", "state_dict", "module.encoder.", "-"),
    "byol": ("byol_port", "state_dict", "module.online_encoder.", "-"),
    "simsiam": ("simsiam", "state_dict", "module.encoder.", "module.encoder.fc"),
    "barlow": ("barlow_twins", "model", "module.backbone.", "-"),
    "vicreg": ("vicreg", "model", "module.backbone.", "-"),
    "nnclr": ("pretrain_nnclr", "state_dict", "module.encoder_q.", "module.encoder_q.fc"),
    "ressl": ("pretrain_ressl", "state_dict", "module.encoder_q.", "module.encoder_q.fc"),
    "densecl": ("densecl", "state_dict", "backbone.", "-"),  # of tools/extract_backbone_weights.py
    "moco_v3": ("moco_v3", "state_dict", "module.base_encoder.", "module.base_encoder.fc"),
    "swav": ("swav", "state_dict", "module.", "module.pro"),  # its script drops what a ResNet has not
    "dino": ("dino", "teacher", "module.backbone.", "-"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of each row, of a narrow ResNet-50 with random weights and statistics."""
    folder = tmp_path_factory.mktemp("files")
    network = make_encoder_factory("resnet50w0.25x", dim=1)()
    for name in TINY:
        row = tiny_row(name)
        torch.manual_seed(1)
        method = JointEmbedding(row, lambda dim: lambda: deepcopy(network))
        for key, value in method.state_dict().items():
            if value.is_floating_point() and value.dim() == 1:
                value.copy_(torch.rand_like(value) + 0.5)
            if key.startswith("target_") and value.is_floating_point():
                value.mul_(1.25)
        sgd = torch.optim.SGD(method.parameters(), 0.1)
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        identity = {"mechanism": name, **row.identity()}
        totals = Totals(torch.device("cpu"), method.figures)
        state = RunState(method, sgd, scaler, totals, "resnet50w0.25x", identity, 1, row.layout)
        torch.save(state.pack(3), folder / f"{name}.pth.tar")
    return folder


@pytest.mark.parametrize("name", list(TINY))
def test_converters_know_a_file_as_itself(name: str, files: Path) -> None:
    source, entry, prefix, _ = READ[name]
    backbone = open_checkpoint(files / f"{name}.pth.tar")
    assert backbone.manifest["source"] == source
    stored = torch.load(files / f"{name}.pth.tar", weights_only=True)[entry]
    assert np.array_equal(backbone.weights["stem.conv1.weight"], stored[f"{prefix}conv1.weight"])


@pytest.mark.parametrize("name", list(TINY))
def test_a_linear_script_finds_a_resnet(name: str, files: Path) -> None:
    _, entry, prefix, without = READ[name]
    stored = torch.load(files / f"{name}.pth.tar", weights_only=True)[entry]
    kept = {k.removeprefix(prefix) for k in stored if k.startswith(prefix) and not k.startswith(without)}
    with torch.device("meta"):
        assert kept == {key for key in resnet50().state_dict() if not key.startswith("fc.")}


@pytest.mark.parametrize("name", list(TINY))
def test_our_commands_read_the_evaluated_network(name: str, files: Path) -> None:
    _, entry, prefix, _ = READ[name]
    stored = torch.load(files / f"{name}.pth.tar", weights_only=True)[entry]
    encoder, arch = load_encoder(files / f"{name}.pth.tar", torch.device("cpu"))
    assert arch == "resnet50w0.25x"
    assert feature_width(encoder) == 512
    assert torch.equal(encoder.layer4[2].conv3.weight, stored[f"{prefix}layer4.2.conv3.weight"])


def test_a_run_starts_from_the_evaluated_network(files: Path) -> None:
    """Of DINO that is the teacher, whatever method goes on with it."""
    start = read_start(files / "dino.pth.tar")
    method = JointEmbedding(tiny_row("simsiam"), partial(make_encoder_factory, "resnet50w0.25x"))
    assert put_in_place(start, method) == "with fresh heads, its target_backbone as backbone"
    stored = torch.load(files / "dino.pth.tar", weights_only=True)["teacher"]
    assert torch.equal(method.encoder.conv1.weight, stored["module.backbone.conv1.weight"])


def test_swapped_roles_are_told(files: Path) -> None:
    """DINO evaluates its slow copy, BYOL the network that learns; MoCo's names are no others' names."""
    start = read_start(files / "dino.pth.tar")
    method = JointEmbedding(tiny_row("byol"), partial(make_encoder_factory, "resnet50w0.25x"))
    told = put_in_place(start, method)
    assert told == "with fresh heads, its target_backbone as backbone, its backbone as target_backbone"
    stored = torch.load(files / "dino.pth.tar", weights_only=True)["student"]
    slow = method.get_parameter("target_backbone.conv1.weight")
    assert torch.equal(slow, stored["module.backbone.conv1.weight"])
    assert put_in_place(read_start(files / "byol.pth.tar"), method) == "with fresh heads"


@pytest.mark.parametrize("name", list(TINY))
def test_a_file_is_read_by_the_names_it_was_made_of(name: str, files: Path) -> None:
    """Writing and reading are each other's inverse, tensor by tensor."""
    layout = joint_row(name).layout
    contents = checkpoint.load(files / f"{name}.pth.tar")
    ours = {key.removeprefix("module."): value for key, value in contents["state_dict"].items()}
    assert {key.partition(".")[0] for key in ours} <= set(layout.places)
    again = layout.written(ours)
    raw = torch.load(files / f"{name}.pth.tar", weights_only=True)
    for entry in layout.entries:
        assert again[entry].keys() == raw[entry].keys()
        assert all(torch.equal(again[entry][key], raw[entry][key]) for key in raw[entry])
