"""Every publisher's file: all 318 tensors equal, the same features; and all of them are set in Detectron2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from converters.backbone import Backbone
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from converters.networks.table import FAMILIES
from converters.publishers.row import SINGLE
from converters.publishers.table import BY_NAME
from tests.converters.checkpoint_nets import Weights, features, source_features, to_detectron2
from tests.converters.detectron2_rules import is_backbone, matches, stored_models
from tests.converters.networks import conv_cases, swin_cases
from tests.converters.publishers.cases import CASES
from tests.converters.publishers.files import Case
from tests.converters.publishers.vit_cases import REFUSED_UNTIL_NAMED, VIT_CASES
from tests.converters.publishers.vit_foreign_cases import VIT_FOREIGN

UNCOUNTED = {"byol", "msra"}  # frameworks that count no batches: zeros are put in their place
DETECTRON2 = {"c4": 318, "fpn": 318, "c4_frozen": 265, "fpn_frozen": 265}
ONE_ENCODER = {"dino-backbone", "obow-exported", "densecl-released", "mmselfsup-extracted"}


@pytest.fixture(scope="session")
def expected_features(narrow: Weights, image: torch.Tensor) -> dict[bool, torch.Tensor]:
    return {stride: source_features(narrow, image, stride) for stride in (False, True)}


def test_every_row_has_a_case() -> None:
    cases = (*CASES, *VIT_CASES, *VIT_FOREIGN, *conv_cases.CASES, *swin_cases.CASES)
    known = {case.source for case in cases} | REFUSED_UNTIL_NAMED
    assert known | {"timm_deep"} == set(BY_NAME)  # of a ResNet with other tensors: in test_deep_stems.py
    assert {name for name, row in BY_NAME.items() if row.ambiguous} == REFUSED_UNTIL_NAMED
    assert {case.encoder for case in CASES if case.source == "dino"} == {"ema"}


def test_a_row_states_facts_that_a_family_has() -> None:
    """A misspelt one would be dropped in silence."""
    known = {fact.key: fact.kind for family in FAMILIES for fact in family.stated}
    for source in BY_NAME.values():
        for key, value in source.facts:
            assert type(value) is known.get(key), f"{source.name}: {key}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_publisher(
    case: Case,
    narrow: Weights,
    image: torch.Tensor,
    expected_features: dict[bool, torch.Tensor],
    tmp_path: Path,
) -> None:
    """On an eighth of the width."""
    other = {n: array if array.ndim == 0 else array * array.dtype.type(0.75) for n, array in narrow.items()}
    backbone = open_checkpoint(case.build(narrow, other, tmp_path), source=case.stated)
    compare(backbone, case, narrow)
    got = features(backbone.weights, image, stride_in_1x1=case.stride_in_1x1)
    want = expected_features[case.stride_in_1x1]
    assert got.shape == want.shape
    assert float((got - want).abs().max() / want.abs().max()) <= 1e-5


def compare(backbone: Backbone, case: Case, weights: Weights) -> None:
    """Asserts that the manifest is that of the case, and that every tensor is the one of the file."""
    manifest = backbone.manifest
    assert (manifest["source"], manifest["encoder"]) == (case.source, case.encoder)
    assert manifest["stride_in_1x1"] == case.stride_in_1x1
    assert manifest["num_tensors"] == len(backbone.weights) == 318
    counted = case.source not in UNCOUNTED
    for name, array in weights.items():
        ours = backbone.weights[to_detectron2(name)]
        if name.endswith("num_batches_tracked"):
            assert int(ours) == (int(array) if counted else 0)
            continue
        assert ours.dtype == np.float32
        assert ours.flags.c_contiguous
        np.testing.assert_array_equal(ours, array, strict=True)


def test_a_file_of_full_width_is_set_in_detectron2(r50: Weights, r50_other: Weights, tmp_path: Path) -> None:
    """All publishers give these names: `compare` holds each to them."""
    case = CASES[0]
    backbone = open_checkpoint(case.build(r50, r50_other, tmp_path))
    compare(backbone, case, r50)
    shapes = {name: array.shape for name, array in backbone.weights.items()}
    for model, count in DETECTRON2.items():
        wanted = {key for key in stored_models()[model] if is_backbone(key)}
        assert set(matches(stored_models()[model], shapes)) == wanted
        assert len(wanted) == count


PAIRS = [case for case in CASES if BY_NAME[case.source].encoder != SINGLE]


@pytest.mark.parametrize("case", PAIRS, ids=lambda case: case.name)
def test_the_other_encoder_is_given_or_named_as_missing(case: Case, narrow: Weights, tmp_path: Path) -> None:
    second = {
        name: array if array.ndim == 0 else array * array.dtype.type(0.5) for name, array in narrow.items()
    }
    path = case.build(narrow, second, tmp_path)
    other = {"online": "ema", "ema": "online"}[case.encoder]
    if case.name in ONE_ENCODER:
        with pytest.raises(CheckpointError, match=f"the {other} encoder .* is missing"):
            open_checkpoint(path, source=case.stated, encoder=other)
        return
    backbone = open_checkpoint(path, source=case.stated, encoder=other)
    assert backbone.manifest["encoder"] == other
    np.testing.assert_array_equal(backbone.weights["stem.conv1.weight"], second["conv1.weight"])
    np.testing.assert_array_equal(backbone.weights["res5.2.conv3.weight"], second["layer4.2.conv3.weight"])
