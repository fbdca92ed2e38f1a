"""Holds our ViT against Detectron2's, live where it is importable and by stored numbers everywhere."""

from __future__ import annotations

import json

import pytest
import torch

from converters.models.build import build
from converters.models.vit import ViT
from tests.converters.models import detectron2_vit
from tests.converters.models.detectron2_vit import CASES, STORED, numbers
from tests.converters.models.vit_cases import PLAIN, SIZES, difference, images


def _ours(case: str, state: dict[str, torch.Tensor]) -> ViT:
    model = build(PLAIN, **CASES[case], prefix_tokens=False)
    assert isinstance(model, ViT)
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert set(missing.missing_keys) == {"cls_token", "norm.weight", "norm.bias"}
    return model.eval()


@pytest.mark.detectron2
@pytest.mark.parametrize("case", CASES)
def test_maps_are_those_of_detectron2(case: str) -> None:
    pytest.importorskip("detectron2", reason="Detectron2 is not installed")
    theirs = detectron2_vit.detectron2_vit(case)
    assert list(theirs.state_dict()) == list(detectron2_vit.weights(case))
    ours = _ours(case, theirs.state_dict())
    for size in SIZES:
        with torch.no_grad():
            assert difference(ours(images(size))["tap1"], theirs(images(size))["last_feat"]) < 1e-5


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_numbers_are_those_that_detectron2_gave(case: str, size: tuple[int, int]) -> None:
    stored = torch.tensor(json.loads(STORED.read_text(encoding="utf-8"))[f"{case}, {size[0]}x{size[1]}"])
    with torch.no_grad():
        found = _ours(case, detectron2_vit.weights(case))(images(size, 1))["tap1"]
    assert len(stored) > 40
    assert difference(torch.tensor(numbers(found)), stored) < 1e-5
