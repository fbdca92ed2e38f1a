"""Depths, widths, groups and wrappers that Detectron2 can express; health findings; stated facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models import resnet

from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from tests.converters.checkpoint_nets import Weights, features, template, tensors, to_detectron2, trained
from tests.converters.foreign_names import prefixed
from tests.converters.safetensors_bytes import write

# torchvision's model -> what the config needs, before narrowing
VARIANTS: dict[str, dict[str, int]] = {
    "resnet50": {"depth": 50, "groups": 1, "width_per_group": 64},
    "resnet101": {"depth": 101, "groups": 1, "width_per_group": 64},
    "resnet152": {"depth": 152, "groups": 1, "width_per_group": 64},
    "wide_resnet50_2": {"depth": 50, "groups": 1, "width_per_group": 128},
}


@pytest.mark.parametrize("model", VARIANTS)
def test_architecture_is_read_from_the_shapes(model: str, image: torch.Tensor, tmp_path: Path) -> None:
    """On an eighth of the width."""
    weights = trained(template(model, divide=8))
    facts = VARIANTS[model] | {"stem_out_channels": 8, "res2_out_channels": 32}
    facts["width_per_group"] //= 8
    backbone = open_checkpoint(write(tmp_path / "a.safetensors", weights))
    assert {key: backbone.manifest[key] for key in facts} == facts
    assert set(backbone.weights) == {to_detectron2(name) for name in weights}
    got = features(backbone.weights, image, facts["depth"], facts["groups"])
    assert bool(torch.isfinite(got).all())


@pytest.mark.parametrize(("blocks", "groups", "width"), [((3, 4, 6, 3), 8, 4), ((3, 4, 23, 3), 4, 2)])
def test_resnext(
    blocks: tuple[int, ...], groups: int, width: int, image: torch.Tensor, tmp_path: Path
) -> None:
    """torchvision's own grouped network against ours: same features."""
    net = resnet.ResNet(resnet.Bottleneck, list(blocks), groups=groups, width_per_group=width).eval()
    state = net.state_dict()
    moved = trained({name: tuple(value.shape) for name, value in state.items() if not name.startswith("fc.")})
    net.load_state_dict(tensors(moved), strict=False)
    backbone = open_checkpoint(write(tmp_path / "x.safetensors", moved))
    facts = backbone.manifest
    assert (facts["groups"], facts["width_per_group"]) == (groups, width)
    net.avgpool = net.fc = torch.nn.Identity()
    with torch.no_grad():
        want = net(image)
    got = features(backbone.weights, image, facts["depth"], groups).flatten(1)
    assert float((got - want).abs().max() / want.abs().max()) <= 1e-5


@pytest.mark.parametrize("width", [2, 4])
def test_wide_networks(width: int, tmp_path: Path) -> None:
    """SwAV's and SimCLR's x2 and x4: every channel count is multiplied; here on an eighth of the base."""
    shapes = {n: tuple(s * width if s >= 8 else s for s in shape) for n, shape in template(divide=8).items()}
    backbone = open_checkpoint(write(tmp_path / "w.safetensors", trained(shapes)))
    facts = backbone.manifest
    got = (facts["stem_out_channels"], facts["width_per_group"], facts["res2_out_channels"])
    assert got == (8 * width, 8 * width, 32 * width)


WRAPPED = (
    "module.",
    "_orig_mod.",
    "module._orig_mod.",
    "_orig_mod.module.",
    "_fsdp_wrapped_module.",
    "encoder.module.",
    "model._orig_mod.backbone.",
    "module.encoder._checkpoint_wrapped_module.",
    "a.module.b._fsdp_wrapped_module.module.",
)


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_wrappers_at_any_depth(wrapper: str, tiny: Weights, tmp_path: Path) -> None:
    inside = {"layer2.": "layer2.module.", "layer3.": "layer3._checkpoint_wrapped_module."}
    state = {}
    for name, value in tiny.items():
        for plain, wrapped in inside.items():
            name = name.replace(plain, wrapped)
        state[wrapper + name] = value
    backbone = open_checkpoint(write(tmp_path / "a.safetensors", state | {"n_averaged": np.array(3)}))
    np.testing.assert_array_equal(backbone.weights["res4.3.conv1.weight"], tiny["layer3.3.conv1.weight"])
    assert backbone.manifest["prefix"].startswith(wrapper)
    if wrapper in WRAPPED[:5]:  # nothing but wrappers: the file is a plain one
        assert backbone.manifest["source"] == "torchvision"


def test_words_that_only_contain_a_wrapper_stay(tiny: Weights, tmp_path: Path) -> None:
    backbone = open_checkpoint(write(tmp_path / "a.safetensors", prefixed(tiny, "submodule.my_module.")))
    assert backbone.manifest["prefix"] == "submodule.my_module."


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(dtype: torch.dtype, tiny: Weights, tmp_path: Path) -> None:
    state = {n: t.to(dtype) if t.is_floating_point() else t for n, t in tensors(tiny).items()}
    torch.save(state, tmp_path / "a.pth")
    backbone = open_checkpoint(tmp_path / "a.pth")
    for name, value in state.items():
        np.testing.assert_array_equal(backbone.weights[to_detectron2(name)], value.float().numpy())
    assert any("float32" in note for note in backbone.manifest["notes"])


def test_shared_and_strided_storages(tiny: Weights, tmp_path: Path) -> None:
    """Parameters as views of one flat buffer, and as transposed views."""
    flat = torch.cat([t.float().reshape(-1) for t in tensors(tiny).values()])
    state, position = {}, 0
    for name, array in tiny.items():
        state[name] = flat[position : position + array.size].view(array.shape)
        position += array.size
    state["layer1.0.conv3.weight"] = (
        state["layer1.0.conv3.weight"].transpose(0, 1).contiguous().transpose(0, 1)
    )
    for legacy in (False, True):
        torch.save(state, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
        backbone = open_checkpoint(tmp_path / "a.pth")
        for name, value in state.items():
            np.testing.assert_array_equal(backbone.weights[to_detectron2(name)], value.numpy())


def all_norms(weights: Weights, **parts: float) -> Weights:
    """Every norm's parts set to a constant."""
    return {
        n: np.full_like(a, parts[n.rsplit(".", 1)[1]]) if a.ndim == 1 and n.rsplit(".", 1)[1] in parts else a
        for n, a in weights.items()
    }


def test_refused_health(tiny: Weights, tmp_path: Path) -> None:
    def refused(changes: Weights, message: str, **options: Any) -> None:
        with pytest.raises(CheckpointError, match=message):
            open_checkpoint(write(tmp_path / "a.safetensors", tiny | changes), **options)

    variance = tiny["layer2.1.bn2.running_var"]
    refused({"layer2.1.bn2.running_var": -variance}, "negative running variance in 1 norms")
    refused({"layer2.1.bn2.running_var": 0 * variance}, "running variance 0 throughout 1 norms")
    refused({"layer2.1.bn2.running_var": -variance}, "negative", accept=["untrained"])
    half = {n: a for n, a in all_norms(tiny, running_mean=0, running_var=1).items() if n.startswith("layer4")}
    refused(half, "statistics of 10 of 53 norms were never updated")
    accepted = open_checkpoint(tmp_path / "a.safetensors", accept=["untrained"])
    assert any("accepted by the user: statistics of 10" in note for note in accepted.manifest["notes"])
    with pytest.raises(CheckpointError, match="--accept nonsense"):
        open_checkpoint(tmp_path / "a.safetensors", accept=["nonsense"])


def test_warned_health(tiny: Weights, narrow: Weights, tmp_path: Path) -> None:
    def warnings(weights: Weights) -> str:
        notes = open_checkpoint(write(tmp_path / "a.safetensors", weights)).manifest["notes"]
        return " ".join(note for note in notes if note.startswith("warning: "))

    assert warnings(tiny) == ""
    assert "no batch ever went through" in warnings(all_norms(tiny, running_mean=0, running_var=1))
    assert "never took a training step" in warnings(all_norms(tiny, weight=1, bias=0))
    zeroed = {n: 0 * a if n.endswith("bn3.weight") else a for n, a in tiny.items()}
    assert "zero-initialised residual" in warnings(zeroed)
    uncounted = {n: 0 * a if n.endswith("tracked") else a for n, a in tiny.items()}
    assert "all batch counters are 0" in warnings(uncounted)
    dead = tiny["layer1.0.bn1.running_var"].copy()
    dead[0] = 0
    assert "1 channels have running variance 0" in warnings(tiny | {"layer1.0.bn1.running_var": dead})
    full = trained({n: s for n, s in template().items() if n == "conv1.weight"})["conv1.weight"]
    from converters.networks.resnet_health import fresh_stem

    fresh = torch.nn.Conv2d(3, 64, 7).weight.detach().numpy()
    assert fresh_stem({"stem.conv1.weight": fresh})
    assert not fresh_stem({"stem.conv1.weight": full})
    both = prefixed(tiny, "encoder_q.") | prefixed(tiny, "encoder_k.") | {"queue": np.ones((2, 2), "f4")}
    torch.save({"state_dict": {n: torch.tensor(a) for n, a in both.items()}}, tmp_path / "m.pth")
    notes = open_checkpoint(tmp_path / "m.pth").manifest["notes"]
    assert any("both encoders hold the same values" in note for note in notes)


def test_stated_facts_are_recorded_also_on_a_converted_file(tiny: Weights, tmp_path: Path) -> None:
    from converters.backbone import save_backbone

    stated = {"pixel_mean": [1, 2, 3], "pixel_std": [4, 5, 6], "input_format": "BGR", "stride_in_1x1": True}
    raw = write(tmp_path / "a.safetensors", tiny)
    first = open_checkpoint(raw, **stated)
    save_backbone(open_checkpoint(raw), tmp_path / "b.pkl")
    second = open_checkpoint(tmp_path / "b.pkl", **stated)
    for backbone in (first, second):
        assert {key: backbone.manifest[key] for key in stated} == stated
        assert sum("stated by the user" in note for note in backbone.manifest["notes"]) == 4
    with pytest.raises(CheckpointError, match="already converted"):
        open_checkpoint(tmp_path / "b.pkl", source="moco")
    with pytest.raises(CheckpointError, match="expected RGB or BGR"):
        open_checkpoint(raw, input_format="GRB")
    with pytest.raises(CheckpointError, match="three numbers"):
        open_checkpoint(raw, pixel_mean=[1, 2])
