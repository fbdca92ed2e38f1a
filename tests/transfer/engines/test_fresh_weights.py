"""The weights that no backbone brings, before the first step: Detectron2's fills, layer by layer."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import Tensor, nn

from tests.transfer.engines.golden import detection, semantic
from transfer.engines.choose import load_engine
from transfer.engines.torchvision.backbones.layers import msra_fill, xavier_fill

# Detectron2's name -> the deviation; every other layer is filled by He et al., fan out.
FIXED = {
    r"proposal_generator\.rpn_head\..*": 0.01,
    r"roi_heads\.box_predictor(\.\d)?\.cls_score": 0.01,
    r"roi_heads\.box_predictor(\.\d)?\.bbox_pred": 0.001,
    r"roi_heads\.mask_head\.predictor": 0.001,
    r"sem_seg_head\.predictor": 0.01,
    r"backbone\.(bottom_up\.)?net\.blocks\..*": 0.02,  # a normal distribution that is cut far outside
    r"backbone\.bottom_up\.(stages|layers|downsample_layers)\..*": 0.02,  # so are these
}
# Its own fills, biases too.
TORCHS = r"backbone\.((bottom_up\.)?(net\.)?patch_embed\.proj|simfp_\d\.\d|bottom_up\.scales\.\d(\.\d)?)"
XAVIER = r"backbone\.fpn_(lateral|output)\d|roi_heads\.box_head(\.\d)?\.fc\d"


def _deviation(name: str, weight: Tensor) -> float:
    for pattern, deviation in FIXED.items():
        if re.fullmatch(pattern, name):
            return deviation
    window = weight[0, 0].numel() if weight.ndim == 4 else 1
    if re.fullmatch(TORCHS, name):
        return math.sqrt(1 / (3 * weight.shape[1] * window))  # that of U(+-sqrt(1 / fan_in))
    if re.fullmatch(XAVIER, name):
        return math.sqrt(1 / (weight.shape[1] * window))  # that of U(+-sqrt(3 / fan_in))
    return math.sqrt(2 / (weight.shape[0] * window))


@pytest.mark.parametrize("detector", [*detection.DETECTORS, "semantic"])
def test_fresh_layers_have_detectron2s_fills(detector: str) -> None:
    cfg = semantic.config() if detector == "semantic" else detection.config(detector, **detection.NARROW)
    torch.manual_seed(0)
    engine = load_engine("torchvision")
    state = engine.state(engine.build(cfg, torch.device("cpu")))
    weights = {n.removesuffix(".weight"): t for n, t in state.items() if n.endswith("weight") and t.ndim > 1}
    assert len(weights) > 40
    for name, weight in weights.items():
        spread = 6 / math.sqrt(2 * weight.numel())
        assert weight.std().item() == pytest.approx(_deviation(name, weight), rel=spread), name
        bias = state.get(f"{name}.bias")
        assert bias is None or bool(bias.any()) == bool(re.fullmatch(TORCHS, name)), name


@pytest.mark.parametrize("layer", [nn.Conv2d(8, 64, 3), nn.Linear(200, 64)])
def test_the_two_fills_are_of_their_distributions(layer: nn.Conv2d | nn.Linear) -> None:
    torch.manual_seed(0)
    xavier_fill(layer)
    bound = math.sqrt(3 / layer.weight[0].numel())
    assert 0.99 * bound < layer.weight.abs().max() <= bound, "uniform"
    if isinstance(layer, nn.Conv2d):
        msra_fill(layer)
        assert layer.weight.abs().max() > 3 * math.sqrt(2 / (64 * 9)), "normal"
