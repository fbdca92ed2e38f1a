"""Computes with Detectron2's mask and keypoint heads all that the scene `heads` compares."""

from __future__ import annotations

from typing import Any

from detectron2.layers import ShapeSpec
from detectron2.layers.mask_ops import paste_masks_in_image
from detectron2.modeling.roi_heads import KRCNNConvDeconvUpsampleHead, MaskRCNNConvUpsampleHead
from detectron2.modeling.roi_heads.roi_heads import select_proposals_with_visible_keypoints
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage

from tests.transfer.engines.golden import heads as scene
from tests.transfer.engines.golden.values import fill
from transfer.engines.detectron2.convert import instances_of


def everything() -> dict[str, Any]:
    """`heads.everything`, of Detectron2's heads."""
    out: dict[str, Any] = {}
    shape = ShapeSpec(channels=scene.CHANNELS)
    with EventStorage():
        for name, convs in scene.CONVS.items():
            dims = [scene.CHANNELS] * (convs + 1)
            head = MaskRCNNConvUpsampleHead(shape, num_classes=scene.CLASSES, conv_dims=dims)
            fill(head)
            x = scene.pooled(12)
            out[f"mask {name}"] = scene.learned(head, x, head(x, proposals())["loss_mask"])
            found, _ = head.eval()(scene.pooled(6), detections())
            masks = found.pred_masks[:, 0].detach()
            out[f"mask {name}"]["probabilities"] = masks.flatten()[::7].tolist()
            pasted = paste_masks_in_image(masks, found.pred_boxes.tensor, scene.OUTPUT)
            out[f"mask {name}"]["pasted"] = scene.run_lengths(pasted)
        for name, normalizer in scene.NORMALIZERS.items():
            points = KRCNNConvDeconvUpsampleHead(
                shape,
                num_keypoints=scene.KEYPOINTS,
                conv_dims=[scene.CHANNELS, 8],
                loss_weight=scene.LOSS_WEIGHT,
                loss_normalizer="visible" if normalizer is None else normalizer,
            )
            fill(points)
            chosen = select_proposals_with_visible_keypoints(proposals())
            x = scene.pooled(sum(map(len, chosen)))
            out[f"keypoint {name}"] = scene.learned(points, x, points(x, chosen)["loss_keypoint"])
            out[f"keypoint {name}"]["regions"] = [len(each) for each in chosen]
        found, _ = points.eval()(scene.pooled(6), detections())
        out["keypoints"] = found.pred_keypoints.tolist()
    return out


def proposals() -> list[Instances]:
    """The scene's regions with their truth, through our own conversion."""
    made = []
    for sample, regions in zip(scene.samples(), scene.foreground(), strict=True):
        instances = instances_of(sample)[regions.index]
        instances.proposal_boxes = Boxes(regions.boxes)
        made.append(instances)
    return made


def detections() -> list[Instances]:
    """The scene's detections."""
    made = []
    for found in scene.detections():
        instances = Instances(scene.OUTPUT)
        instances.pred_boxes, instances.pred_classes = Boxes(found.boxes), found.classes
        made.append(instances)
    return made
