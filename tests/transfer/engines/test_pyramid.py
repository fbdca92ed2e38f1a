"""Pyramid, pooler and dilated backbones, each against torchvision's own or a slow loop."""

from __future__ import annotations

import math
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops import roi_align as kernel
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from converters.models.resnet import Shape
from transfer.engines.torchvision.backbones.build import build_backbone
from transfer.engines.torchvision.backbones.necks import FPN
from transfer.engines.torchvision.backbones.resnet import ResNet
from transfer.engines.torchvision.pixels import Normalizer
from transfer.engines.torchvision.regions.pooler import Pooler
from transfer.engines.torchvision.regions.roi_align import separable_roi_align
from transfer.recipes.resolve import RANDOM_MANIFEST, apply_manifest, load_recipe

STAGES = ("res2", "res3", "res4", "res5")
NARROW = Shape(50, 1, 4, 4, 16, stride_in_1x1=False)
MANIFEST = RANDOM_MANIFEST | {"width_per_group": 4, "stem_out_channels": 4, "res2_out_channels": 16}


def test_the_pyramid_is_torchvisions_where_sizes_are_multiples_of_32() -> None:
    torch.manual_seed(0)
    ours = FPN(ResNet(NARROW, STAGES, "BN", 0), 8, "").eval()
    theirs = FeaturePyramidNetwork([16, 32, 64, 128], 8, LastLevelMaxPool())
    for i, level in enumerate(range(2, 6)):
        theirs.inner_blocks[i][0].load_state_dict(getattr(ours, f"fpn_lateral{level}").state_dict())
        theirs.layer_blocks[i][0].load_state_dict(getattr(ours, f"fpn_output{level}").state_dict())
    image = torch.randn(2, 3, 64, 96)
    wanted = theirs(OrderedDict(ours.bottom_up(image)))
    found = ours(image)
    assert list(ours.strides) == ["p2", "p3", "p4", "p5", "p6"]
    for name, (key, expected) in zip(ours.strides, wanted.items(), strict=True):
        torch.testing.assert_close(found[name], expected, msg=key)
        assert found[name].shape[-2] == -(-64 // ours.strides[name])


def test_every_region_is_read_at_the_level_of_its_size() -> None:
    torch.manual_seed(0)
    strides = {"p2": 4, "p3": 8, "p4": 16, "p5": 32}
    maps = {name: torch.randn(2, 3, 512 // s, 512 // s) for name, s in strides.items()}
    sides = torch.tensor([4.0, 60, 111, 112, 200, 223, 224, 300, 447, 448, 500])
    corner = torch.rand(2, len(sides), 2) * (512 - sides[:, None])
    boxes = [torch.cat([c, c + sides[:, None]], dim=1) for c in corner]
    pooled = Pooler(strides, 7, 2, aligned=True)(maps, boxes)
    row = 0
    for image, rois in enumerate(boxes):
        for roi in rois:
            side = math.sqrt(float((roi[2] - roi[0]) * (roi[3] - roi[1])))
            level = min(5, max(2, math.floor(4 + math.log2(side / 224 + 1e-8))))
            feature = maps[f"p{level}"][image : image + 1]
            expected = kernel(feature, [roi[None]], 7, 1 / strides[f"p{level}"], 2, aligned=True)
            torch.testing.assert_close(pooled[row], expected[0], atol=1e-5, rtol=1e-4)
            row += 1
    assert row == len(pooled)


@pytest.mark.parametrize("aligned", [True, False])
def test_separable_pooling_of_both_conventions(aligned: bool) -> None:
    """Legacy RoIAlign has no half-pixel shift and lets no region be smaller than one cell."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(1, 4, 12, 10, generator=generator, dtype=torch.float64)
    corner = torch.rand(30, 2, generator=generator, dtype=torch.float64) * 80
    side = torch.rand(30, 2, generator=generator, dtype=torch.float64) * 60
    side[:5] = 0.5  # below one cell
    boxes = [torch.cat([corner, corner + side], dim=1)]
    ours = separable_roi_align(features, boxes, 5, 1 / 8, 2, aligned)
    torch.testing.assert_close(ours, kernel(features, boxes, 5, 1 / 8, 2, aligned), atol=1e-9, rtol=1e-9)


def test_a_dilated_res5_keeps_the_resolution_and_sees_as_far() -> None:
    cfg = apply_manifest(load_recipe("voc_dc5", [("MODEL.C5_CONV.OUT_CHANNELS", 8)]), MANIFEST)
    backbone = build_backbone(cfg)
    found = backbone(torch.randn(1, 3, 64, 96))["c5_conv"]
    assert found.shape == (1, 8, 4, 6)
    assert backbone.strides == {"c5_conv": 16}
    convs = {
        m.dilation
        for m in backbone.bottom_up.res5.modules()
        if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)
    }
    assert convs == {(2, 2)}
    assert (found >= 0).all(), "the 3x3 convolution ends in a ReLU"


def test_padding_is_zero_after_normalisation_and_a_multiple_of_the_divisibility() -> None:
    normalize = Normalizer([10.0, 20.0, 30.0], [2.0, 2.0, 2.0], 32)
    images = [torch.full((3, 40, 20), 14, dtype=torch.uint8), torch.full((3, 30, 50), 14, dtype=torch.uint8)]
    batch, sizes = normalize(images)
    assert batch.shape == (2, 3, 64, 64)
    assert sizes == [(40, 20), (30, 50)]
    assert batch[0, 0, :40, :20].unique().tolist() == [2.0]
    assert batch[0, 2, :40, :20].unique().tolist() == [-8.0]
    assert batch[0, :, 40:].abs().sum() + batch[0, :, :, 20:].abs().sum() == 0
    assert not normalize.state_dict()
