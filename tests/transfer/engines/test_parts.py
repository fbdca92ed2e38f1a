"""The embedded engine's parts, each against an independent oracle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import roi_align as kernel

from transfer.engines.choose import choose_engine, detectron2_found, load_engine
from transfer.engines.solver import lr_factor
from transfer.engines.torchvision.names import detectron2_name, torchvision_name
from transfer.engines.torchvision.regions import roi_align
from transfer.engines.torchvision.regions.anchors import cell_anchors, grid_anchors
from transfer.engines.torchvision.regions.roi_align import separable_roi_align
from transfer.engines.torchvision.regions.sampling import match, sample
from transfer.errors import TransferError
from transfer.recipes.resolve import load_recipe


@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("size", [7, 14])
def test_separable_roi_align_equals_the_kernel_forward_and_backward(ratio: int, size: int) -> None:
    generator = torch.Generator().manual_seed(size + ratio)
    features = torch.randn(2, 5, 9, 13, generator=generator, dtype=torch.float64, requires_grad=True)
    corners = (
        torch.rand(2, 40, 2, 2, generator=generator, dtype=torch.float64) * 320 - 60
    )  # inside and outside
    boxes = [torch.cat([c.min(1).values, c.max(1).values], dim=1) for c in corners]
    boxes[0][0] = torch.tensor([50.0, 60.0, 50.0, 60.0])  # no area
    upstream = torch.randn(80, 5, size, size, generator=generator, dtype=torch.float64)
    gradients = []
    for function in (separable_roi_align, lambda *a: kernel(*a, aligned=True)):
        out = function(features, boxes, size, 1 / 16, ratio)
        (gradient,) = torch.autograd.grad(out, features, upstream)
        gradients.append((out.detach(), gradient))
    torch.testing.assert_close(gradients[0][0], gradients[1][0], atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(gradients[0][1], gradients[1][1], atol=1e-9, rtol=1e-9)
    assert gradients[0][0].abs().max() > 0.1


@pytest.mark.parametrize("small_map", [roi_align.SMALL_MAP, 0], ids=["products", "kernel"])
@pytest.mark.parametrize("aligned", [True, False])
def test_either_way_of_pooling_is_the_kernel_forward_and_backward(
    small_map: int, aligned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roi_align, "SMALL_MAP", small_map)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 9, 13, generator=generator, dtype=torch.float64, requires_grad=True)
    corner = torch.rand(2, 20, 2, generator=generator, dtype=torch.float64) * 120
    side = torch.rand(2, 20, 2, generator=generator, dtype=torch.float64) * 60
    side[:, :5] = 3  # below one cell: the legacy convention makes it one
    boxes = list(torch.cat([corner, corner + side], dim=2))
    upstream = torch.randn(40, 3, 7, 7, generator=generator, dtype=torch.float64)
    found = []
    for function in (roi_align.roi_align, kernel):
        out = function(features, boxes, 7, 1 / 16, 2, aligned)
        found.append((out.detach(), *torch.autograd.grad(out, features, upstream)))
    torch.testing.assert_close(found[0], found[1], atol=1e-9, rtol=1e-9)


def test_roi_align_without_boxes() -> None:
    out = separable_roi_align(torch.ones(2, 3, 4, 4), [torch.zeros(0, 4), torch.zeros(0, 4)], 7, 1 / 16, 0)
    assert out.shape == (0, 3, 7, 7)


def test_anchors_by_hand() -> None:
    cell = cell_anchors([32, 64], [0.5, 1.0, 2.0])
    assert len(cell) == 6
    widths, heights = cell[:, 2] - cell[:, 0], cell[:, 3] - cell[:, 1]
    np.testing.assert_allclose(widths * heights, [32**2] * 3 + [64**2] * 3, rtol=1e-5)
    np.testing.assert_allclose(heights / widths, [0.5, 1, 2] * 2, rtol=1e-5)
    grid = grid_anchors(cell, height=2, width=3, stride=16)
    assert len(grid) == 2 * 3 * 6
    centres = (grid[:, :2] + grid[:, 2:]) / 2
    np.testing.assert_allclose(centres[(1 * 3 + 2) * 6], [32, 16], atol=1e-5)


def test_matching_against_a_slow_loop() -> None:
    rng = np.random.default_rng(0)
    corners = rng.random((30, 2, 2)) * 20
    boxes = torch.from_numpy(np.concatenate([corners.min(1), corners.max(1)], axis=1)).float()
    truth, candidates = boxes[:4], boxes[4:]
    index, label = match(truth, candidates, 0.1, 0.3, low_quality=True)

    def iou(a: torch.Tensor, b: torch.Tensor) -> float:
        w = max(0.0, float(min(a[2], b[2]) - max(a[0], b[0])))
        h = max(0.0, float(min(a[3], b[3]) - max(a[1], b[1])))
        area = float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]))
        return w * h / (area - w * h)

    table = [[iou(t, c) for c in candidates] for t in truth]
    for j in range(len(candidates)):
        column = [row[j] for row in table]
        best = max(column)
        assert column[int(index[j])] == pytest.approx(best)
        low = any(abs(row[j] - max(row)) < 1e-7 for row in table)
        expected = 1 if best >= 0.3 or low else 0 if best < 0.1 else -1
        assert int(label[j]) == expected
    empty_index, empty_label = match(torch.zeros(0, 4), candidates, 0.3, 0.7, low_quality=True)
    assert not empty_label.any()
    assert not empty_index.any()


def test_sampling_fills_up_with_negatives_and_never_repeats() -> None:
    positive = torch.zeros(100, dtype=torch.bool)
    positive[:10] = True
    for number, fraction, wanted in [(40, 0.25, (10, 30)), (40, 0.1, (4, 36)), (400, 0.5, (10, 90))]:
        pos, neg = sample(positive, ~positive, number, fraction)
        assert (len(pos), len(neg)) == wanted
        assert positive[pos].all()
        assert not positive[neg].any()
        assert len(set(pos.tolist())) == len(pos)


def test_names_there_and_back() -> None:
    engine = load_engine("torchvision")
    model = engine.build(load_recipe("voc_c4"), torch.device("cpu"))
    for name in model.state_dict():
        assert torchvision_name(detectron2_name(name)) == name
    names = set(engine.state(model))
    assert "backbone.res2.0.shortcut.norm.running_mean" in names
    assert "roi_heads.res5.norm.weight" in names
    assert "backbone.stem.conv1.norm.num_batches_tracked" in names


def test_learning_rate_by_hand() -> None:
    cfg = load_recipe("voc_c4")
    assert lr_factor(cfg, 0) == pytest.approx(0.001)
    assert lr_factor(cfg, 50) == pytest.approx(0.001 + 0.999 * 0.5)
    assert [lr_factor(cfg, t) for t in (100, 17999)] == [1.0, 1.0]
    assert lr_factor(cfg, 18000) == pytest.approx(0.1)
    assert lr_factor(cfg, 23999) == pytest.approx(0.01)


@pytest.mark.detectron2
def test_learning_rate_equals_detectron2s() -> None:
    if not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    overrides = [("SOLVER.MAX_ITER", 60), ("SOLVER.STEPS", [30, 50]), ("SOLVER.WARMUP_ITERS", 12)]
    cfg = load_recipe("voc_c4", overrides)
    optimizer, scheduler = load_engine("detectron2").solver(cfg, torch.nn.Linear(2, 2))
    for iteration in range(60):
        wanted = optimizer.param_groups[0]["lr"]
        assert cfg.SOLVER.BASE_LR * lr_factor(cfg, iteration) == pytest.approx(wanted, rel=1e-6), iteration
        optimizer.step()
        scheduler.step()


def test_choosing_an_engine() -> None:
    name, line = choose_engine("auto")
    assert name in line
    assert name == ("detectron2" if detectron2_found() else "torchvision")
    with pytest.raises(TransferError, match="expected auto, detectron2 or torchvision"):
        choose_engine("mmdet")
    if not detectron2_found():
        with pytest.raises(TransferError, match="not importable"):
            choose_engine("detectron2")
