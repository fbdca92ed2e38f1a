"""ResNets with deep stems: timm's C, D and S are taken, and manifests of before do not change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from converters.backbone import Backbone, later_facts, load_backbone, save_backbone
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from converters.finding.accounting import account
from converters.finding.candidates import TensorSet, find_candidates
from converters.networks.resnet import RESNET
from converters.output.export import export
from converters.output.inspect import inspect
from tests.converters.networks.hierarchies import shapes_of, trained, unread
from transfer.errors import TransferError
from transfer.recipes.resolve import RANDOM_MANIFEST, apply_manifest, load_recipe

timm = pytest.importorskip("timm", reason="timm is not installed: its classes are the oracle")

NAMES = timm.list_models(["resnet*[0-9]c", "resnet*[0-9]d", "resnet*[0-9]s"])
TAKEN = [name for name in NAMES if name[6:-1] in ("18", "34", "50", "101", "152")]


def thin(avg_down: bool) -> torch.nn.Module:
    resnet: Any = timm.models.resnet
    return trained(
        resnet.ResNet(
            resnet.Bottleneck, (3, 4, 6, 3), stem_type="deep", stem_width=32, base_width=8,
            channels=(64, 128, 256, 512), avg_down=avg_down, num_classes=9,
        )
    )  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_a_network_of_timm_is_accounted_for(name: str) -> None:
    shapes = shapes_of(name)
    tensors = TensorSet("", {key: unread(shape) for key, shape in shapes.items()})
    (entry,) = (found for found in (account(c, tensors) for c in find_candidates(tensors)) if found.complete)
    told = entry.candidate.dialect.told(entry.shapes)
    assert (entry.candidate.family, entry.facts["depth"]) == (RESNET, int(name[6:-1]))
    assert (entry.facts["stem"], told["avg_down"]) == ("deep", name.endswith("d"))
    assert entry.facts["stem_out_channels"] == (128 if name.endswith("s") else 64)
    assert set(entry.candidate.names.values()) == {key for key in shapes if not key.startswith("fc")}


def test_all_of_them_are_looked_at() -> None:
    assert len(TAKEN) >= 11  # of 18 and 34 layers one, of 50, 101 and 152 three


@pytest.mark.parametrize("avg_down", [False, True])
def test_every_tensor_of_the_file_is_in_its_place(avg_down: bool, tmp_path: Path) -> None:
    state = thin(avg_down).state_dict()
    torch.save(state, tmp_path / "a.pth")
    backbone = open_checkpoint(tmp_path / "a.pth")
    assert (backbone.manifest["source"], backbone.manifest["stem"]) == ("timm_deep", "deep")
    assert backbone.manifest.get("avg_down", False) == avg_down
    shortcut = 1 if avg_down else 0
    places = {
        "stem.conv1.weight": "conv1.0.weight",
        "stem.conv1.norm.bias": "conv1.1.bias",
        "stem.conv2.weight": "conv1.3.weight",
        "stem.conv2.norm.running_var": "conv1.4.running_var",
        "stem.conv3.weight": "conv1.6.weight",
        "stem.conv3.norm.weight": "bn1.weight",
        "res3.0.shortcut.weight": f"layer2.0.downsample.{shortcut}.weight",
        "res3.0.shortcut.norm.weight": f"layer2.0.downsample.{shortcut + 1}.weight",
        "res5.2.conv3.norm.bias": "layer4.2.bn3.bias",
    }
    for mine, theirs in places.items():
        assert torch.equal(torch.from_numpy(backbone.weights[mine]), state[theirs])
    assert len(backbone.weights) == 318 + 12 == sum(not name.startswith("fc.") for name in state)
    assert "deep stem" in inspect(tmp_path / "a.pth", None, None, {})[0]
    save_backbone(backbone, tmp_path / "a.pkl")
    assert load_backbone(tmp_path / "a.pkl").content_sha256() == backbone.content_sha256()
    assert "deep" in inspect(tmp_path / "a.pkl", None, None, {})[0]
    with pytest.raises(CheckpointError, match="torchvision's ResNet has no deep stem"):
        export(backbone, tmp_path / "b.safetensors", "safetensors")


def test_a_manifest_of_before_has_neither_fact_and_the_hash_that_it_had(narrow_backbone: Path) -> None:
    """The hash itself stands in test_family.py."""
    backbone = load_backbone(narrow_backbone)
    assert not {"stem", "avg_down"} & backbone.manifest.keys()
    assert later_facts(backbone.manifest) == {}

    def told(**facts: object) -> Backbone:
        return replace(backbone, manifest=backbone.manifest | facts)

    same = backbone.content_sha256()
    assert told(stem="7x7", avg_down=False).content_sha256() == same
    assert told(avg_down=True).content_sha256() != same
    assert later_facts(told(avg_down=True, stem="7x7").manifest) == {"avg_down": True}


def test_a_fact_that_no_network_has_is_refused(narrow_backbone: Path, tmp_path: Path) -> None:
    backbone = load_backbone(narrow_backbone)
    wrong: tuple[tuple[dict[str, object], str], ...] = (
        ({"stem": "deep"}, "not the complete ResNet"),
        ({"stem": "tiered"}, "stem 'tiered'; expected 7x7, or deep"),
        ({"avg_down": 1}, "'avg_down' is missing or not a bool"),
    )
    for facts, message in wrong:
        with pytest.raises(CheckpointError, match=message):
            save_backbone(replace(backbone, manifest=backbone.manifest | facts), tmp_path / "b.pkl")


def test_a_tiered_stem_is_another(tmp_path: Path) -> None:
    state = thin(avg_down=False).state_dict()
    state["conv1.0.weight"] = state["conv1.0.weight"][:24].clone()
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="a deep stem of another kind"):
        open_checkpoint(tmp_path / "a.pth")


def test_a_suite_takes_its_facts_and_a_file_of_before_has_the_usual_ones() -> None:
    usual = {key: value for key, value in RANDOM_MANIFEST.items() if key not in ("stem", "avg_down")}
    for told, wanted in (({}, ("7x7", False)), ({"stem": "deep", "avg_down": True}, ("deep", True))):
        net = apply_manifest(load_recipe("voc_c4"), usual | told).MODEL.RESNETS
        assert wanted == (net.STEM, net.AVG_DOWN)
    cfg = load_recipe("voc_c4", [("MODEL.RESNETS.STEM", "deep")])
    with pytest.raises(TransferError, match="MODEL.RESNETS.STEM = deep contradicts the manifest"):
        apply_manifest(cfg, usual | {"source": "x"}, ["MODEL.RESNETS.STEM"])
