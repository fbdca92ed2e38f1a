"""Half precision never rounds a coordinate or a statistic, on both engines; at sizes where bfloat16 would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from tests.transfer.engines.golden import detection
from transfer.engines.choose import detectron2_found, load_engine
from transfer.engines.norms import norm_layer
from transfer.engines.torchvision.regions.roi_align import SMALL_MAP, roi_align
from transfer.process.distributed import World, launch

ENGINES = ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)]
NARROW = {"width_per_group": 8, "stem_out_channels": 8, "res2_out_channels": 32}
HALF = (torch.bfloat16, torch.float16)


@pytest.fixture(params=ENGINES)
def name(request: pytest.FixtureRequest) -> Any:
    if request.param == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    return request.param


@pytest.fixture
def engine(name: str) -> Any:
    return load_engine(name)


def _large() -> tuple[Tensor, Tensor]:
    """Map p2 (1, 8, 200, 336) of an image of 800 x 1344, and 64 boxes at odd places beyond 1000 pixels."""
    rng = torch.Generator().manual_seed(0)
    corner = torch.rand(64, 2, generator=rng) * torch.tensor([240.0, 700.0]) + torch.tensor([1001.0, 3.0])
    sides = torch.rand(64, 2, generator=rng) * 60 + 12
    return torch.randn(1, 8, 200, 336, generator=rng), torch.cat([corner, corner + sides], dim=1)


def _pool(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The engine's RoIAlign of a 7 x 7 head at stride 4, taken from a model that it built."""
    if name == "torchvision":
        return lambda features, boxes: roi_align(features, [boxes], 7, 0.25, 2)
    model = load_engine(name).build(detection.config("coco_fpn", **NARROW), torch.device("cpu"))
    layer = model.roi_heads.box_pooler.level_poolers[0]
    sampling = layer.sampling_ratio
    assert (layer.output_size, layer.spatial_scale) == ((7, 7), 0.25)

    def pool(features: Tensor, boxes: Tensor) -> Tensor:
        layer.sampling_ratio = 2
        try:
            return layer(features, torch.cat([boxes.new_zeros(len(boxes), 1), boxes], dim=1))
        finally:
            layer.sampling_ratio = sampling

    return pool


@pytest.mark.parametrize("dtype", HALF)
def test_regions_far_from_the_origin_are_pooled_where_they_are(name: str, dtype: torch.dtype) -> None:
    """The oracle pools the same rounded map in double precision; only the result is rounded again."""
    features, boxes = _large()
    assert features.shape[2] * features.shape[3] > SMALL_MAP, "the path that a GPU takes"
    half = features.to(dtype)
    oracle = torchvision.ops.roi_align(half.double(), [boxes.double()], 7, 0.25, 2, True)
    with torch.autocast("cpu", dtype):
        pooled = _pool(name)(half, boxes)
    assert pooled.dtype == dtype
    torch.testing.assert_close(
        pooled.double(), oracle, atol=4e-3 if dtype == torch.bfloat16 else 1e-3, rtol=5e-3
    )


@pytest.mark.parametrize("detector", ["coco_fpn", "coco_c4", "coco_keypoint"])
def test_no_region_of_a_training_step_is_half(
    engine: Any, detector: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.dtype] = []
    kernel = torch.ops.torchvision.roi_align

    def watch(features: Tensor, rois: Tensor, *rest: Any) -> Tensor:
        seen.append(rois.dtype)
        result: Tensor = kernel(features, rois, *rest)
        return result

    monkeypatch.setattr(torch.ops.torchvision, "roi_align", watch)
    monkeypatch.setattr(
        "transfer.engines.torchvision.regions.roi_align.SMALL_MAP", 0
    )  # the path that a GPU takes
    cfg = detection.config(detector, **NARROW)
    model = detection.prepared(engine, cfg).train()
    with torch.autocast("cpu", torch.bfloat16):
        engine.losses(model, detection.samples(cfg))
    assert seen
    assert set(seen) == {torch.float32}


def _normalise(world: World, name: str, dtype_name: str) -> dict[str, list[float]]:
    """One synchronised norm of a layer whose channels lie far from zero, under autocast."""
    torch.manual_seed(world.rank)
    x = (torch.randn(2, 3, 8, 8) * torch.tensor([1.0, 0.5, 1.0])[:, None, None] + 10).requires_grad_()
    norm: nn.Module = norm_layer("naiveSyncBN")(3)
    if name == "detectron2":
        from detectron2.layers import get_norm

        from transfer.engines.detectron2.precision import keep_wide

        norm = get_norm("naiveSyncBN", 3)
        keep_wide(norm)
    half = x.to(getattr(torch, dtype_name))
    with torch.autocast("cpu", half.dtype):
        out = norm(half)
    return {"out": out.flatten().tolist(), "x": half.flatten().tolist(), "var": norm.running_var.tolist()}


@pytest.mark.usefixtures("forked_processes")
def test_batch_statistics_are_float32(name: str) -> None:
    """Against float64 on both processes' values; in bfloat16's eight bits the error was 23.6."""
    for dtype in ("bfloat16", "float32"):
        made = launch(_both, 2, torch.device("cpu"), name, dtype)
        joined = torch.cat(
            [torch.tensor(part["x"], dtype=torch.float64).reshape(2, 3, 8, 8) for part in made]
        )
        expected = nn.BatchNorm2d(3).double()(joined)
        out = torch.cat([torch.tensor(part["out"]).reshape(2, 3, 8, 8) for part in made]).double()
        torch.testing.assert_close(out, expected, atol=2e-2 if dtype == "bfloat16" else 1e-3, rtol=5e-3)
        var = torch.tensor(made[0]["var"])
        torch.testing.assert_close(
            var, 0.9 + 0.1 * joined.var((0, 2, 3), correction=0).float(), atol=1e-3, rtol=1e-3
        )


def _both(world: World, name: str, dtype: str) -> list[Any]:
    parts: list[Any] = [None] * world.size
    torch.distributed.all_gather_object(parts, _normalise(world, name, dtype))
    return parts


@pytest.mark.detectron2
def test_frozen_statistics_are_float32() -> None:
    if not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    from detectron2.layers import get_norm

    from transfer.engines.detectron2.precision import keep_wide

    norm = get_norm("FrozenBN", 3)
    norm.running_mean.fill_(100.3)
    norm.running_var.fill_(1.01)
    keep_wide(norm)
    x = (torch.randn(2, 3, 8, 8) + 100.3).to(torch.bfloat16).requires_grad_()
    expected = (x.double() - 100.3) / (torch.tensor(1.01, dtype=torch.float64) + 1e-5).sqrt()
    torch.testing.assert_close(norm(x).double(), expected, atol=1e-3, rtol=1e-2)
