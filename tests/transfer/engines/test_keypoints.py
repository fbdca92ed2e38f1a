"""Keypoint targets, selection, decoding and the keypoint head, against slow oracles and numbers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.transfer.engines.golden import heads as scene
from transfer.engines.torchvision.heads import keypoint
from transfer.engines.torchvision.heads.keypoint import KeypointHead, heatmaps_to_keypoints
from transfer.engines.torchvision.structures import Foreground, Targets


def _one_object(
    points: list[list[float]], boxes: list[list[float]]
) -> tuple[list[Foreground], list[Targets]]:
    """One object with these keypoints, and these regions that hit it."""
    zeros = torch.zeros(len(boxes), dtype=torch.int64)
    truth = Targets(torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64), keypoints=torch.tensor([points]))
    return [Foreground(torch.tensor(boxes), zeros, zeros)], [truth]


def test_regions_with_a_labelled_keypoint_inside_or_on_the_edge_are_selected() -> None:
    points = [[10.0, 10.0, 2.0], [40.0, 40.0, 1.0], [80.0, 80.0, 0.0], [0.0, 0.0, 0.0]]
    boxes = [[0.0, 0.0, 9.9, 9.9], [5.0, 5.0, 10.0, 10.0], [39.0, 30.0, 50.0, 50.0], [70.0, 70.0, 90.0, 90.0]]
    foreground, targets = _one_object(points, boxes)
    head = KeypointHead(2, [2], 4, 1.0, None)
    (kept,) = head.select(foreground, targets)
    torch.testing.assert_close(kept.boxes, torch.tensor(boxes[1:3]))


def _loss_slowly(logits: Tensor, points: list[list[float]], boxes: list[list[float]]) -> tuple[float, int]:
    """Sum of -log p(cell of the keypoint) over the labelled keypoints in their boxes, and their number."""
    side, total, count = logits.shape[-1], 0.0, 0
    for region, (x0, y0, x1, y1) in enumerate(boxes):
        for kind, (x, y, visible) in enumerate(points):
            column = side - 1 if x == x1 else math.floor((x - x0) * side / (x1 - x0))
            row = side - 1 if y == y1 else math.floor((y - y0) * side / (y1 - y0))
            if visible > 0 and 0 <= column < side and 0 <= row < side:
                heat = logits[region, kind].detach().double()
                total += float(heat.exp().sum().log() - heat[row, column])
                count += 1
    return total, count


@pytest.mark.parametrize("normalizer", [None, 64.0])
def test_the_loss_equals_a_slow_loop(normalizer: float | None) -> None:
    points = [[10.0, 10.0, 2.0], [40.0, 33.0, 1.0], [12.0, 9.0, 0.0], [25.5, 31.0, 2.0]]
    boxes = [[5.0, 6.0, 40.0, 33.0], [10.0, 10.0, 30.0, 50.0], [0.0, 0.0, 100.0, 100.0]]  # edges count
    head = scene.keypoint_head(normalizer)
    x = scene.pooled(3)
    loss = head.losses(x, *_one_object(points, boxes))["loss_keypoint"]
    total, count = _loss_slowly(head(x), points, boxes)
    assert count == 3 + 2 + 3
    assert loss.item() == pytest.approx(scene.LOSS_WEIGHT * total / (normalizer or count), rel=1e-5)


def _decoded_slowly(maps: Tensor, boxes: Tensor) -> np.ndarray:
    """The library's bicubic resize of one map at a time, and a search for its highest pixel."""
    out = np.zeros((*maps.shape[:2], 3))
    for region, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        extent = max(x1 - x0, 1), max(y1 - y0, 1)
        width, height = map(math.ceil, extent)
        for kind, heat in enumerate(maps[region]):
            large = F.interpolate(heat[None, None], (height, width), mode="bicubic", align_corners=False)[
                0, 0
            ]
            row, column = divmod(int(large.argmax()), width)
            out[region, kind] = [
                x0 + (column + 0.5) * extent[0] / width,
                y0 + (row + 0.5) * extent[1] / height,
                float(1 / (heat.double() - large.max().double()).exp().sum()),
            ]
    return out


@pytest.mark.parametrize("most", [1, 3000, 2**26])
def test_decoding_in_groups_equals_decoding_one_by_one(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setitem(keypoint.CHUNK, "cpu", most)
    generator = torch.Generator().manual_seed(0)
    maps = F.interpolate(torch.randn(24, 3, 5, 5, generator=generator) * 3, (28, 28), mode="bilinear")
    corner = torch.rand(24, 2, generator=generator) * 50
    size = torch.rand(24, 2, generator=generator) ** 2 * 90  # smaller and larger than the map
    size[0] = torch.tensor([0.2, 70.3])
    size[1:4] = torch.tensor([28.0, 28.0])
    boxes = torch.cat([corner, corner + size], dim=1)
    found = heatmaps_to_keypoints(maps, boxes)
    wanted = _decoded_slowly(maps, boxes)
    np.testing.assert_allclose(found[..., :2], wanted[..., :2], atol=1e-3)
    np.testing.assert_allclose(found[..., 2], wanted[..., 2], rtol=1e-4)
    assert len({round(float(x), 2) for x in found[..., 0].flatten()}) > 40


def test_groups_hold_every_region_once_and_are_bounded() -> None:
    pixels = torch.randint(1, 300, (50, 2), generator=torch.Generator().manual_seed(0))
    groups = keypoint._groups(pixels, kinds=17, most=10**6)
    assert sorted(torch.cat(groups).tolist()) == list(range(50))
    assert 1 < len(groups) < 50
    for group in groups:
        padded = len(group) * 17 * int(pixels[group, 0].max()) * int(pixels[group, 1].max())
        assert padded <= 10**6 or len(group) == 1


def test_half_precision_moves_only_the_features() -> None:
    head = scene.keypoint_head(None)
    wanted = head.losses(scene.pooled(12), scene.foreground(), scene.targets())["loss_keypoint"]
    with torch.autocast("cpu", torch.bfloat16):
        loss = head.losses(scene.pooled(12), scene.foreground(), scene.targets())["loss_keypoint"]
        (found, _) = head.detect(scene.pooled(6), scene.detections())
    assert loss.dtype == torch.float32
    assert found.keypoints is not None
    assert found.keypoints.dtype == torch.float32
    assert loss.item() == pytest.approx(wanted.item(), rel=0.02)


def test_no_region_no_loss_but_a_gradient_for_every_parameter() -> None:
    head = scene.keypoint_head(None)
    nobody = [f.only(torch.zeros(len(f.index), dtype=torch.bool)) for f in scene.foreground()]
    loss = head.losses(scene.pooled(0), nobody, scene.targets())["loss_keypoint"]
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is not None and not p.grad.any() for p in head.parameters())


def test_fresh_weights_are_those_of_detectron2() -> None:
    torch.manual_seed(0)
    head = KeypointHead(64, [96, 128], 17, 1.0, None)
    wanted = {"conv_fcn1": 96 * 9, "conv_fcn2": 128 * 9, "score_lowres": 128 * 16}  # fan out
    assert {n for n, _ in head.named_parameters()} == {f"{n}.{p}" for n in wanted for p in ("weight", "bias")}
    for name, fan_out in wanted.items():
        assert head.get_parameter(f"{name}.weight").std().item() == pytest.approx(
            math.sqrt(2 / fan_out), rel=0.03
        )
        assert not head.get_parameter(f"{name}.bias").any()
