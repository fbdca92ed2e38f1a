"""ResNet-18 and 34 of the embedded engine are torchvision's, stage by stage; Detectron2 computes the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from converters.models.resnet import Shape, make_stage
from tests.transfer.engines.golden import detection
from tests.transfer.engines.golden.scene import assert_same, scene
from transfer.engines.choose import detectron2_found, load_engine
from transfer.engines.torchvision.backbones.resnet import ResNet
from transfer.engines.torchvision.engine import engine

STAGES = ("res2", "res3", "res4", "res5")
NARROW = {"width_per_group": 16, "stem_out_channels": 16, "res2_out_channels": 16, "depth": 18}
NARROWER = {"width_per_group": 8, "stem_out_channels": 8, "res2_out_channels": 8, "depth": 18}


def shape(depth: int) -> Shape:
    return Shape(depth, 1, 64, 64, 64, False)


@pytest.mark.parametrize("depth", [18, 34])
def test_stages_are_torchvisions(depth: int) -> None:
    torch.manual_seed(0)
    theirs = get_model(f"resnet{depth}", weights=None).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    ours = ResNet(shape(depth), STAGES, "BN", 0).eval()
    state = {name: value for name, value in theirs.state_dict().items() if not name.startswith("fc.")}
    renamed = {
        f"stem.{name}" if not name.startswith("layer") else f"res{int(name[5]) + 1}{name[6:]}": value
        for name, value in state.items()
    }
    ours.load_state_dict(renamed)
    image = torch.randn(1, 3, 65, 97)
    with torch.no_grad():
        features = ours(image)
        x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(image))))
        for stage, name in enumerate(STAGES, start=1):
            x = getattr(theirs, f"layer{stage}")(x)
            torch.testing.assert_close(features[name], x)
            assert features[name].shape[1] == ours.channels[name]


def test_a_dilated_stage_sees_as_far_and_keeps_its_resolution() -> None:
    """On a map that repeats every pixel twice, dilation 2 is the undilated convolution of the pixels."""
    torch.manual_seed(0)
    dilated, plain = (make_stage(shape(18), 5, nn.BatchNorm2d, dilation).eval() for dilation in (2, 1))
    plain.load_state_dict(dilated.state_dict())
    for module in plain.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
    x = torch.randn(1, 256, 5, 6)
    with torch.no_grad():
        doubled = dilated(x.repeat_interleave(2, 2).repeat_interleave(2, 3))
        torch.testing.assert_close(doubled[:, :, ::2, ::2], plain(x))
    assert doubled.shape == (1, 512, 10, 12)


@pytest.mark.parametrize("detector", ["voc_c4", "voc_dc5", "coco_c4", "coco_fpn"])
def test_detectors_train_on_basic_blocks(detector: str) -> None:
    cfg = detection.config(detector, **NARROW)
    torch.manual_seed(0)
    model = engine.build(cfg, torch.device("cpu")).train()
    losses = engine.losses(model, detection.samples(cfg))
    torch.stack(list(losses.values())).sum().backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    names = {name for name, p in model.named_parameters() if p.grad is not None}
    last = next(name for name in names if name.endswith("res5.1.conv2.weight"))
    assert dict(model.named_parameters())[last].shape == (128, 128, 3, 3)
    assert not [name for name in engine.state(model) if "res5.0.conv3" in name]


@pytest.mark.slow
@pytest.mark.detectron2
@pytest.mark.parametrize("detector", ["voc_c4", "voc_dc5", "coco_c4", "coco_fpn", "voc_semantic"])
def test_detectron2_computes_the_same(detector: str) -> None:
    """C4 with the extra norm and without, dilated C5, FPN, FCN: features, losses, steps; C4's boxes."""
    if not detectron2_found():
        pytest.skip("detectron2 is not importable; set DETECTRON2, see CONTRIBUTING.md")
    ours, theirs = (scene(name, detector, **NARROWER) for name in ("torchvision", "detectron2"))
    assert_same(ours, theirs)


@pytest.mark.detectron2
@pytest.mark.parametrize("freeze_at", [0, 2, 5])
def test_detectron2_freezes_the_same(freeze_at: int) -> None:
    """The same tensors, of the same shapes, and as many parameters train."""
    if not detectron2_found():
        pytest.skip("detectron2 is not importable; set DETECTRON2, see CONTRIBUTING.md")
    found = []
    for name in ("torchvision", "detectron2"):
        engine = load_engine(name)
        cfg = detection.config("coco_fpn", **(NARROW | {"depth": 34}))
        cfg.MODEL.BACKBONE.FREEZE_AT = freeze_at
        model = engine.build(cfg, torch.device("cpu"))
        shapes = {name: tuple(tensor.shape) for name, tensor in engine.state(model).items()}
        # Detectron2's frozen norms keep the counter that nothing reads
        shapes = {name: s for name, s in shapes.items() if not name.endswith(".num_batches_tracked")}
        found.append((shapes, sum(p.numel() for p in model.parameters() if p.requires_grad)))
    assert found[0] == found[1]
    assert "backbone.bottom_up.res4.5.conv2.norm.weight" in found[0][0]
