"""Mask targets, pasting and the mask head, each against a slow oracle or a number worked out by hand."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from pycocotools import mask
from torch import Tensor

from tests.transfer.engines.golden import heads as scene
from transfer.datasets.coco.rle import decode
from transfer.engines.torchvision.heads import mask as mask_module
from transfer.engines.torchvision.heads.mask import MaskHead, output_masks, paste_masks, rasterise
from transfer.engines.torchvision.structures import Detections


def _covered(polygons: list[np.ndarray], x: float, y: float) -> tuple[bool, float]:
    """Is a point in one of the polygons (even-odd rule), and how far is it from the nearest edge?"""
    inside, nearest = False, math.inf
    for polygon in polygons:
        odd = False
        points = polygon.reshape(-1, 2)
        for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
                odd = not odd
            along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)
            along = min(max(along, 0), 1)
            nearest = min(nearest, math.hypot(ax + along * (bx - ax) - x, ay + along * (by - ay) - y))
        inside |= odd
    return inside, nearest


def test_polygons_cover_the_cells_whose_centres_they_hold() -> None:
    shapes = scene.samples()[0].polygons
    assert shapes is not None
    boxes = torch.tensor([[12.0, 8.0, 75.0, 60.0], [60.0, 20.0, 118.0, 90.0], [30.0, 40.0, 58.0, 68.0]])
    index, size = torch.tensor([0, 1, 0]), 28
    drawn = rasterise(shapes, boxes, index, size)
    decided = 0
    for f, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        width, height = (x1 - x0) / size, (y1 - y0) / size
        for row in range(size):
            for column in range(size):
                x, y = x0 + (column + 0.5) * width, y0 + (row + 0.5) * height
                inside, distance = _covered(shapes[int(index[f])], x, y)  # type: ignore[arg-type]
                if distance > 0.8 * max(width, height):  # on the edge the rasteriser has rules of its own
                    assert bool(drawn[f, row, column]) == inside, (f, row, column)
                    decided += 1
    assert decided > 0.7 * drawn.numel()
    assert 0.3 < drawn.float().mean() < 0.9


def test_a_region_thinner_than_a_tenth_of_a_pixel_is_drawn_as_if_it_were_as_wide() -> None:
    right_of_it = np.array([10.02, 0, 90, 0, 90, 90, 10.02, 90])
    (drawn,) = rasterise([[right_of_it]], torch.tensor([[10.0, 5.0, 10.05, 33.0]]), torch.tensor([0]), 28)
    assert torch.equal(drawn, (torch.arange(28) >= 6).expand(28, 28))  # 0.02 of 0.1 is cell 5.6 of 28


def test_run_lengths_are_cropped_to_the_majority_of_each_block() -> None:
    bitmap = np.random.default_rng(0).random((60, 80)) < 0.5
    shape = mask.encode(np.asfortranarray(bitmap, np.uint8))
    corners = [(3, 5), (40, 0), (0, 18)]  # boxes of 14 blocks of 3x3 pixels
    boxes = torch.tensor([[x, y, x + 42.0, y + 42.0] for x, y in corners])
    cropped = rasterise([shape], boxes, torch.zeros(3, dtype=torch.int64), 14)
    for f, (x, y) in enumerate(corners):
        part = bitmap[y : y + 42, x : x + 42]
        part = np.pad(part, [(0, 42 - part.shape[0]), (0, 42 - part.shape[1])])
        wanted = part.reshape(14, 3, 14, 3).mean(axis=(1, 3)) >= 0.5
        inside = (slice(None), slice(0, (80 - x) // 3))
        np.testing.assert_array_equal(cropped[f].numpy()[inside], wanted[inside])


def test_drawing_the_masks_of_a_batch_takes_a_fraction_of_a_second() -> None:
    """512 regions of 40-point polygons: a COCO batch of eight images on one process."""
    angle = np.arange(40) / 40 * 2 * np.pi
    polygon = np.stack([50 + 30 * np.cos(angle), 50 + 30 * np.sin(angle)], axis=1).ravel()
    boxes = torch.tensor([[20.0, 20.0, 80.0, 80.0]]).repeat(512, 1)
    index = torch.zeros(512, dtype=torch.int64)
    rasterise([[polygon]], boxes, index, 28)
    start = time.process_time()
    drawn = rasterise([[polygon]], boxes, index, 28)
    assert time.process_time() - start < 0.5  # measured: 0.03
    assert drawn.shape == (512, 28, 28)


def _pasted_slowly(probabilities: Tensor, box: list[float], height: int, width: int) -> np.ndarray:
    side, (x0, y0, x1, y1) = len(probabilities), box
    cells = np.pad(probabilities.double().numpy(), 1)  # zeros around
    out = np.zeros((height, width), bool)
    for row in range(height):
        for column in range(width):
            u = (column + 0.5 - x0) / (x1 - x0) * side + 0.5  # in cells of the padded mask
            v = (row + 0.5 - y0) / (y1 - y0) * side + 0.5
            i, j = math.floor(u), math.floor(v)
            if 0 <= i <= side and 0 <= j <= side:
                a, b = u - i, v - j
                upper = (1 - a) * cells[j, i] + a * cells[j, i + 1]
                lower = (1 - a) * cells[j + 1, i] + a * cells[j + 1, i + 1]
                out[row, column] = (1 - b) * upper + b * lower >= 0.5
    return out


BOXES = [[2.3, 3.1, 22.7, 17.0], [-4.0, -6.0, 30.0, 25.0], [20.2, 4.4, 20.9, 5.1], [10.0, 12.0, 31.5, 40.0]]


def test_pasting_equals_a_slow_loop() -> None:
    masks = torch.rand(4, 7, 7, generator=torch.Generator().manual_seed(0)) * 0.4 + 0.3
    boxes = torch.tensor(BOXES)
    pasted = paste_masks(masks, boxes, (20, 30))
    assert pasted.shape == (4, 20, 30)
    assert pasted.dtype == torch.bool
    for one, probabilities, box in zip(pasted, masks, BOXES, strict=True):
        np.testing.assert_array_equal(one.numpy(), _pasted_slowly(probabilities, box, 20, 30))
    assert 0.05 < pasted.float().mean() < 0.5
    # What a GPU does: all masks over the whole image.
    whole = mask_module._sample(masks, boxes, range(30), range(20)).transpose(1, 2)
    assert torch.equal(whole, pasted)


def test_output_masks_are_the_run_lengths_of_the_pasted_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = torch.rand(4, 7, 7, generator=torch.Generator().manual_seed(1))
    boxes = torch.tensor(BOXES)
    found = Detections(boxes, torch.ones(4), torch.zeros(4, dtype=torch.int64), masks)
    wanted = output_masks(found, (20, 30))
    assert wanted is not None
    np.testing.assert_array_equal(decode(wanted), paste_masks(masks, boxes, (20, 30)).numpy())
    monkeypatch.setattr(mask_module, "CHUNK", 20 * 30 * 2)  # two masks at a time
    assert output_masks(found, (20, 30)) == wanted
    assert output_masks(Detections(boxes, torch.ones(4), torch.zeros(4)), (20, 30)) is None
    none = Detections(boxes[:0], torch.ones(0), torch.zeros(0), masks[:0])
    assert output_masks(none, (20, 30)) == []


def test_only_the_class_of_the_object_is_predicted_and_trained() -> None:
    head = scene.mask_head(2)
    x = scene.pooled(5)
    classes = torch.tensor([3, 0, 3, 1, 0])
    of_all = head(x)
    assert of_all.shape == (5, scene.CLASSES, 2 * scene.SIDE, 2 * scene.SIDE)
    torch.testing.assert_close(head.logits(x, classes), of_all[torch.arange(5), classes])
    head.logits(x, classes).sum().backward()
    assert head.predictor.weight.grad is not None
    touched = head.predictor.weight.grad.flatten(1).abs().sum(dim=1) > 0
    assert touched.tolist() == [True, True, False, True, False]


def test_half_precision_moves_only_the_features() -> None:
    head = scene.mask_head(4)
    wanted = head.losses(scene.pooled(12), scene.foreground(), scene.targets())["loss_mask"]
    with torch.autocast("cpu", torch.bfloat16):
        loss = head.losses(scene.pooled(12), scene.foreground(), scene.targets())["loss_mask"]
        (found, _) = head.detect(scene.pooled(6), scene.detections())
    assert loss.dtype == torch.float32
    assert found.masks is not None
    assert found.masks.dtype == torch.float32
    assert loss.item() == pytest.approx(wanted.item(), rel=0.02)


def test_no_region_no_loss_but_a_gradient_for_every_parameter() -> None:
    head = scene.mask_head(4)
    nobody = [f.only(torch.zeros(len(f.index), dtype=torch.bool)) for f in scene.foreground()]
    loss = head.losses(scene.pooled(0), nobody, scene.targets())["loss_mask"]
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is not None and not p.grad.any() for p in head.parameters())


def test_fresh_weights_are_those_of_detectron2() -> None:
    torch.manual_seed(0)
    head = MaskHead(64, 80, 1, 128)
    wanted = {  # He et al., fan out: the first dimension of the weight times its window
        "mask_fcn1": math.sqrt(2 / (128 * 9)),
        "deconv": math.sqrt(2 / (128 * 4)),
        "predictor": 0.001,
    }
    assert {n for n, _ in head.named_parameters()} == {f"{n}.{p}" for n in wanted for p in ("weight", "bias")}
    for name, std in wanted.items():
        assert head.get_parameter(f"{name}.weight").std().item() == pytest.approx(std, rel=0.03)
        assert not head.get_parameter(f"{name}.bias").any()
