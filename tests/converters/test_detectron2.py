"""Detectron2 sets every backbone tensor from a converted file, in C4 and FPN, norms trained or frozen.

Live through the stock `DetectionCheckpointer` where Detectron2 is importable, for every publisher's file on
narrow models and once on full ones; by its rule and recorded lists of the models' tensors everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from converters.backbone import Backbone, expected_shapes, save_backbone
from converters.convert import open_checkpoint
from tests.converters.checkpoint_nets import Weights, features, tensors
from tests.converters.detectron2_live import MODELS, build, load
from tests.converters.detectron2_rules import is_backbone, matches, stored_models
from tests.converters.publishers.cases import CASES
from tests.converters.publishers.files import Case

EXPECTED = {"c4": 318, "fpn": 318, "c4_frozen": 265, "fpn_frozen": 265}


@pytest.mark.parametrize("name", MODELS)
def test_every_tensor_finds_its_place_by_the_recorded_lists(name: str) -> None:
    model = stored_models()[name]
    found = matches(model, expected_shapes())
    wanted = {key for key in model if is_backbone(key)}
    assert len(wanted) == EXPECTED[name]
    assert set(found) == wanted
    assert len(set(found.values())) == len(found)


def test_the_rule_sees_what_goes_wrong_elsewhere() -> None:
    """The field's silent errors, which this rule must reproduce, or the test above would prove nothing."""
    model, names = stored_models()["c4"], expected_shapes()
    # A converter that left `backbone.` in the names: neither the stem nor the head's res5 is found.
    left = {n: f"stem.backbone.{n[5:]}" if n.startswith("stem.") else f"backbone.{n}" for n in names}
    assert len(matches(model, {left[name]: shape for name, shape in names.items()})) == 252
    twice_as_wide = expected_shapes(stem_out_channels=128, width_per_group=128, res2_out_channels=512)
    assert len(matches(model, twice_as_wide)) == 53
    assert "roi_heads.res5.norm.weight" in matches(model, names | {"norm.weight": (2048,)})
    with pytest.raises(ValueError, match="fits several"):
        matches(model, {"conv2.norm.weight": (64,)})


@pytest.fixture(scope="module")
def converted(r50: Weights, tmp_path_factory: pytest.TempPathFactory) -> tuple[Backbone, Path]:
    folder = tmp_path_factory.mktemp("detectron2")
    query = {f"module.encoder_q.{name}": tensor for name, tensor in tensors(r50).items()}
    torch.save({"state_dict": query}, folder / "moco.pth")
    backbone = open_checkpoint(folder / "moco.pth")
    (folder / "moco.pth").unlink()
    save_backbone(backbone, folder / "backbone.pkl")
    return backbone, folder / "backbone.pkl"


def count_set(model: Any, path: Path, backbone: Backbone) -> int:
    """How many backbone tensors of the model hold the file's values after loading: all, or it fails."""
    with torch.no_grad():
        for value in model.state_dict().values():
            value.fill_(7)  # so that a tensor counts only if the file set it
    load(model, str(path))
    state = {key: value for key, value in model.state_dict().items() if is_backbone(key)}
    shapes = {name: array.shape for name, array in backbone.weights.items()}
    ours = matches({key: tuple(value.shape) for key, value in state.items()}, shapes)
    equal = [
        key for key, value in state.items() if np.array_equal(value.numpy(), backbone.weights[ours[key]])
    ]
    assert len(equal) == len(state)
    return len(equal)


@pytest.fixture(scope="module")
def detectron2() -> Any:
    return pytest.importorskip("detectron2", reason="Detectron2 is not installed")


@pytest.mark.detectron2
@pytest.mark.parametrize("name", MODELS)
def test_stock_checkpointer_sets_every_backbone_tensor(
    name: str, detectron2: Any, converted: tuple[Backbone, Path]
) -> None:
    backbone, path = converted
    model = build(name)
    assert count_set(model, path, backbone) == EXPECTED[name]
    if name == "c4":
        assert bool((model.roi_heads.res5.norm.weight == 7).all())  # MoCo's extra norm is left alone


@pytest.mark.detectron2
@pytest.mark.parametrize("stride_in_1x1", [False, True])
def test_features_in_detectron2_are_the_source_networks(
    stride_in_1x1: bool, detectron2: Any, converted: tuple[Backbone, Path], image: torch.Tensor
) -> None:
    backbone, path = converted
    model = build("fpn_frozen", stride_in_1x1)
    load(model, str(path))
    with torch.no_grad():
        got = model.backbone.bottom_up(image)["res5"]
    want = features(backbone.weights, image, stride_in_1x1=stride_in_1x1)
    assert float((got - want).abs().max() / want.abs().max()) <= 1e-5


@pytest.mark.detectron2
def test_recorded_lists_are_those_of_this_detectron2(detectron2: Any) -> None:
    for name, stored in stored_models().items():
        assert {key: tuple(value.shape) for key, value in build(name).state_dict().items()} == stored


@pytest.fixture(scope="module")
def narrow_models(detectron2: Any) -> dict[str, Any]:
    return {name: build(name, divide=8) for name in MODELS}


@pytest.mark.detectron2
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_publishers_file_is_set_whole(
    case: Case, narrow_models: dict[str, Any], narrow: Weights, tmp_path: Path
) -> None:
    second = {name: array if array.ndim == 0 else array / 2 for name, array in narrow.items()}
    backbone = open_checkpoint(case.build(narrow, second, tmp_path), source=case.stated)
    save_backbone(backbone, tmp_path / "backbone.pkl")
    for name, model in narrow_models.items():
        assert count_set(model, tmp_path / "backbone.pkl", backbone) == EXPECTED[name]
