"""Holds the mask and keypoint heads equal to Detectron2's on fixed regions, truths and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.transfer.engines.golden.values import fill, noise, probe
from transfer.datasets.coco.rle import as_text, encode
from transfer.engines.torchvision.heads.keypoint import KeypointHead
from transfer.engines.torchvision.heads.mask import MaskHead, paste_masks
from transfer.engines.torchvision.structures import Detections, Foreground, Targets
from transfer.samples.masks_and_keypoints import Shape
from transfer.samples.sample import Sample

CHANNELS, SIDE, CLASSES, KEYPOINTS = 6, 7, 5, 4
CONVS = {"c4": 0, "fpn": 4}  # MODEL.ROI_MASK_HEAD.NUM_CONV
NORMALIZERS = {"visible": None, "full batch": KEYPOINTS * 512 * 0.25}
LOSS_WEIGHT = 0.5
OUTPUT = (90, 120)  # height, width of the image that masks are pasted into


def samples() -> list[Sample]:
    """Three images: objects of one and of two polygons; run-length masks; an object that no region hits."""
    image = torch.zeros(3, 100, 130, dtype=torch.uint8)
    polygons: list[list[Shape]] = [
        [[_star(40, 40, 30, 9)], [_star(80, 50, 20, 5), _star(95, 70, 15, 30)]],
        [_run_length(_star(50, 60, 35, 7)), _run_length(_star(90, 30, 25, 12))],
        [[_star(20, 20, 10, 3)]],
    ]
    made = []
    for name, shapes in zip("abc", polygons, strict=True):
        count = len(shapes)
        points = noise(f"points {name}", count, KEYPOINTS, 3).abs() * 40
        points[..., 2] = torch.arange(KEYPOINTS) % 3  # not labelled, hidden, seen, not labelled
        boxes = torch.tensor([[10.0, 10, 70, 72], [60, 20, 118, 90]])[:count]
        made.append(Sample(image, boxes, torch.tensor([3, 1])[:count], name, 100, 130, shapes, points))
    return made


def foreground() -> list[Foreground]:
    """Seven regions around the objects of the first image, five of the second, none of the third."""
    made = []
    for sample, count in zip(samples(), (7, 5, 0), strict=True):
        index = torch.arange(count) % len(sample.boxes)
        boxes = sample.boxes[index] + noise(f"regions {sample.image_id}", count, 4) * 6
        boxes[:1, 2:] = boxes[:1, :2] + 0.05  # hardly any area
        boxes[1:2] = torch.tensor([1.0, 1.0, 129.0, 99.0])
        made.append(Foreground(boxes, sample.classes[index], index))
    return made


def targets() -> list[Targets]:
    """The samples as the embedded engine's heads take them."""
    return [Targets(s.boxes, s.classes, s.polygons, s.keypoints) for s in samples()]


def detections() -> list[Detections]:
    """Detections of two images, one of them without any."""
    corner = noise("corners", 6, 2).abs() * 30
    boxes = torch.cat([corner, corner + 1 + noise("sizes", 6, 2).abs() * 60], dim=1)
    boxes[0] = torch.tensor([-3.0, -4.0, 140.0, 95.0])
    nobody = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    return [Detections(boxes, torch.ones(6), torch.arange(6) % CLASSES), nobody]


def pooled(count: int) -> Tensor:
    """Features of regions."""
    return noise("features", count, CHANNELS, SIDE, SIDE).requires_grad_()


def mask_head(convs: int) -> MaskHead:
    """Ours, with the scene's weights."""
    head = MaskHead(CHANNELS, CLASSES, convs, CHANNELS)
    fill(head)
    return head


def keypoint_head(normalizer: float | None) -> KeypointHead:
    """Ours, with the scene's weights."""
    head = KeypointHead(CHANNELS, [CHANNELS, 8], KEYPOINTS, LOSS_WEIGHT, normalizer)
    fill(head)
    return head


def everything() -> dict[str, Any]:
    """All that is compared, of our heads, as JSON."""
    out: dict[str, Any] = {}
    for name, convs in CONVS.items():
        head = mask_head(convs)
        x = pooled(12)
        out[f"mask {name}"] = learned(head, x, head.losses(x, foreground(), targets())["loss_mask"])
        found, nobody = head.detect(pooled(6), detections())
        assert found.masks is not None
        assert nobody.masks is not None
        assert nobody.masks.shape[0] == 0
        out[f"mask {name}"]["probabilities"] = found.masks.flatten()[::7].tolist()
        out[f"mask {name}"]["pasted"] = run_lengths(paste_masks(found.masks.detach(), found.boxes, OUTPUT))
    for name, normalizer in NORMALIZERS.items():
        points = keypoint_head(normalizer)
        chosen = points.select(foreground(), targets())
        x = pooled(sum(len(f.index) for f in chosen))
        loss = points.losses(x, chosen, targets())["loss_keypoint"]
        out[f"keypoint {name}"] = learned(points, x, loss)
        out[f"keypoint {name}"]["regions"] = [len(f.index) for f in chosen]
    found, nobody = points.detect(pooled(6), detections())
    assert found.keypoints is not None
    assert nobody.keypoints is not None
    assert nobody.keypoints.shape[0] == 0
    out["keypoints"] = found.keypoints.tolist()
    return out


def learned(head: nn.Module, x: Tensor, loss: Tensor) -> dict[str, Any]:
    """The loss and up to 16 entries of each gradient."""
    loss.backward()
    gradients = {name: p.grad for name, p in head.named_parameters()} | {"features": x.grad}
    return {"loss": loss.item(), "gradients": {name: probe(g, 16) for name, g in gradients.items()}}


def run_lengths(masks: Tensor) -> list[str]:
    """COCO's text of pasted masks."""
    return [as_text(rle)["counts"] for rle in encode(masks.numpy())]


def _star(x: float, y: float, radius: float, corners: int) -> np.ndarray:
    """A polygon with long and short spikes, (2 * corners,)."""
    angle = np.arange(corners) / corners * 2 * np.pi
    length = radius * np.where(np.arange(corners) % 2, 0.55, 1.0)
    return np.stack([x + length * np.cos(angle), y + length * np.sin(angle)], axis=1).ravel()


def _run_length(polygon: np.ndarray) -> dict[str, Any]:
    from pycocotools import mask

    return mask.merge(mask.frPyObjects([polygon], 100, 130))
