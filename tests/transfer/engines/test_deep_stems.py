"""ResNet-C, D and S in the detectors of both engines: their features are timm's, all of them is trained."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from converters.__main__ import main
from converters.backbone import Backbone, load_backbone
from converters.convert import open_checkpoint
from converters.models.resnet import pool_before
from tests.converters.networks.hierarchies import trained
from tests.transfer.engines.golden import detection, semantic
from tests.transfer.engines.golden.scene import assert_same, scene
from transfer.engines.choose import detectron2_found, load_engine
from transfer.recipes.resolve import apply_manifest, load_recipe
from transfer.training.load_backbone import load_backbone_into

timm = pytest.importorskip("timm", reason="timm is not installed: its classes are the oracle")

CPU = torch.device("cpu")
SIZES = ((64, 64), (65, 97), (96, 161))
KINDS = {"c": (8, False), "d": (8, True), "s": (16, False)}  # half the stem's width, pooled shortcuts
DEEP: dict[str, Any] = {"stem": "deep", "avg_down": True}
NARROW = {"width_per_group": 8, "stem_out_channels": 8, "res2_out_channels": 32}
BASIC = {"width_per_group": 8, "stem_out_channels": 8, "res2_out_channels": 8, "depth": 18}
ENGINES = ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)]


@cache
def timms(kind: str, basic: bool = False, output_stride: int = 32) -> Any:
    """timm's network, a quarter as wide, with trained-looking weights."""
    resnet: Any = timm.models.resnet
    stem, avg_down = KINDS[kind]
    block, depths = (resnet.BasicBlock, (2, 2, 2, 2)) if basic else (resnet.Bottleneck, (3, 4, 6, 3))
    net = trained(
        resnet.ResNet(
            block, depths, stem_type="deep", stem_width=stem, channels=(16, 32, 64, 128), avg_down=avg_down,
            num_classes=9, output_stride=output_stride,
        )
    )  # fmt: skip
    draws = torch.Generator().manual_seed(1)
    for name, buffer in net.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2, generator=draws)
        elif name.endswith("running_mean"):
            buffer.normal_(0, 0.1, generator=draws)
    return net


@pytest.fixture
def backbone(request: pytest.FixtureRequest, tmp_path: Path) -> Backbone:
    """timm's file, opened as any other."""
    torch.save(timms(*request.param).state_dict(), tmp_path / "timm.pth")
    return open_checkpoint(tmp_path / "timm.pth")


def _maps(backbone: Backbone, recipe: str, engine_name: str, size: tuple[int, int]) -> dict[str, Any]:
    if engine_name == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    engine, keys = load_engine(engine_name), [("MODEL.FPN.OUT_CHANNELS", 16)]
    cfg = apply_manifest(load_recipe(recipe, keys), backbone.manifest)
    model = engine.build(cfg, CPU)
    report = load_backbone_into(engine.state(model), backbone, cfg, "x")
    assert report.set == report.total
    bottom_up: Any = getattr(model.backbone, "bottom_up", model.backbone)
    with torch.no_grad():
        found: dict[str, Any] = bottom_up.eval()(_image(size))
    return found


def _image(size: tuple[int, int]) -> torch.Tensor:
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("engine_name", ENGINES)
@pytest.mark.parametrize(
    "backbone", [("c",), ("d",), ("s",), ("d", True)], indirect=True, ids=["c", "d", "s", "d18"]
)
def test_features_are_timms(backbone: Backbone, engine_name: str, request: pytest.FixtureRequest) -> None:
    net = timms(*request.node.callspec.params["backbone"])
    for size in SIZES:
        found = _maps(backbone, "coco_fpn_1x", engine_name, size)
        with torch.no_grad():
            wanted = net.forward_intermediates(_image(size), intermediates_only=True)[-4:]
        for name, theirs in zip(("res2", "res3", "res4", "res5"), wanted, strict=True):
            assert found[name].shape == theirs.shape
            assert (found[name] - theirs).abs().max() <= 1e-5 * theirs.abs().max(), (name, size)


@pytest.mark.parametrize("backbone", [("d",)], indirect=True)
def test_a_linear_head_stands_on_the_last_of_them(backbone: Backbone) -> None:
    found = _maps(backbone, "ade20k_linear", "torchvision", SIZES[1])
    with torch.no_grad():
        wanted = timms("d").forward_intermediates(_image(SIZES[1]), intermediates_only=True)[-1]
    assert list(found) == ["res5"]
    assert (found["res5"] - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("engine_name", ENGINES)
@pytest.mark.parametrize("backbone", [("d",)], indirect=True)
def test_a_dilated_stage_pools_around_every_pixel(backbone: Backbone, engine_name: str) -> None:
    """As timm at output stride 16, but for its zeros beside the border, which spread five pixels inwards.

    Our first block is dilated, too, as Detectron2's.
    """
    net = timms("d", output_stride=16)
    net.layer4[0].conv2.dilation = net.layer4[0].conv2.padding = (2, 2)
    found = _maps(backbone, "voc_semantic", engine_name, (160, 192))["res5"]
    with torch.no_grad():
        wanted = net.forward_intermediates(_image((160, 192)), intermediates_only=True)[-1]
    assert found.shape == wanted.shape == (1, 512, 10, 12)
    difference = (found - wanted)[..., :-5, :-5].abs().max()
    assert difference <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("size", [(8, 12), (7, 11)])
def test_every_second_mean_is_that_of_the_strided_shortcut(size: tuple[int, int]) -> None:
    """Exactly what a dilated stage is for, at the border, too."""
    strided, dense = torch.nn.Conv2d(3, 4, 1, stride=2), torch.nn.Conv2d(3, 4, 1)
    dense.load_state_dict(strided.state_dict())
    x = torch.randn(2, 3, *size)
    pool_before(strided)
    pool_before(dense)
    with torch.no_grad():
        assert dense(x).shape[-2:] == size
        torch.testing.assert_close(dense(x)[..., ::2, ::2], strided(x))


@pytest.mark.parametrize("detector", ["coco_fpn", "voc_c4", "voc_semantic"])
def test_every_parameter_is_trained(detector: str) -> None:
    engine = load_engine("torchvision")
    if detector == "voc_semantic":
        cfg, batch = semantic.config(**NARROW, **DEEP), semantic.training()
    else:
        cfg = detection.config(detector, **NARROW, **DEEP)
        batch = detection.samples(cfg)
    model = engine.build(cfg, CPU).train()
    torch.stack(list(engine.losses(model, batch).values())).sum().backward()
    stem = [name for name, p in model.named_parameters() if p.grad is not None and ".stem." in f".{name}"]
    assert len(stem) == 9
    assert not [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]


@pytest.mark.slow
@pytest.mark.detectron2
@pytest.mark.parametrize("facts", [NARROW, BASIC], ids=["bottleneck", "basic"])
@pytest.mark.parametrize("detector", ["voc_c4", "voc_dc5", "coco_c4", "coco_fpn", "voc_semantic"])
def test_detectron2_computes_the_same(detector: str, facts: dict[str, Any]) -> None:
    if not detectron2_found():
        pytest.skip("detectron2 is not importable; set DETECTRON2, see CONTRIBUTING.md")
    ours, theirs = (scene(name, detector, **facts, **DEEP) for name in ("torchvision", "detectron2"))
    assert_same(ours, theirs)


@pytest.mark.parametrize("name", ["resnet18d"])
def test_it_is_certified(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    torch.save(timm.create_model(name).state_dict(), tmp_path / "timm.pth")
    options = ["--against", f"timm:{name}", "--size", "64x96", "96x64"]
    assert main(["certify", str(tmp_path / "timm.pth"), str(tmp_path / "own.pkl"), *options]) == 0
    assert "res2, res3, res4, res5" in capsys.readouterr().out
    assert load_backbone(tmp_path / "own.pkl").manifest["avg_down"] is True
