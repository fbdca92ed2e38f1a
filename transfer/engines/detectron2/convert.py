"""Converts our samples to Detectron2's Instances, and those to the fields of our predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from detectron2.structures import BitMasks, Boxes, Instances, Keypoints, PolygonMasks
from torch import Tensor

from transfer.datasets.coco.rle import decode, encode
from transfer.samples.masks_and_keypoints import Shape
from transfer.samples.sample import Sample

MASKS_AT_ONCE = 16  # of a 2-megapixel image 32 MB in bytes


def instances_of(sample: Sample) -> Instances:
    """Gives the ground truth of a sample as Detectron2's models take it."""
    size = tuple(sample.image.shape[-2:])
    instances = Instances(size)
    instances.gt_boxes = Boxes(sample.boxes)
    instances.gt_classes = sample.classes
    if sample.polygons is not None:
        instances.gt_masks = _masks(sample.polygons, size)
    if sample.keypoints is not None:
        instances.gt_keypoints = Keypoints(sample.keypoints)
    return instances


def _masks(shapes: Sequence[Shape], size: tuple[int, ...]) -> PolygonMasks | BitMasks:
    """An image is in one format: all polygons, or all run lengths (`samples.masks_and_keypoints`)."""
    polygons = [shape for shape in shapes if isinstance(shape, list)]
    if len(polygons) == len(shapes):
        return PolygonMasks(polygons)
    return BitMasks(torch.from_numpy(decode([s for s in shapes if isinstance(s, dict)])))


def output_fields(instances: Instances) -> dict[str, Any]:
    """Gives the fields of a Prediction on the CPU: boxes, scores, classes, masks, keypoints."""
    fields: dict[str, Any] = {
        "boxes": instances.pred_boxes.tensor.cpu().numpy(),
        "scores": instances.scores.cpu().numpy(),
        "classes": instances.pred_classes.cpu().numpy(),
    }
    if instances.has("pred_masks"):
        fields["masks"] = _run_lengths(instances.pred_masks)
    if instances.has("pred_keypoints"):
        fields["keypoints"] = instances.pred_keypoints.cpu().numpy()
    return fields


def _run_lengths(masks: Tensor) -> list[dict[str, Any]]:
    """(D, H, W) bool -> D run-length dicts."""
    return [rle for part in masks.split(MASKS_AT_ONCE) for rle in encode(np.asarray(part.cpu()))]
