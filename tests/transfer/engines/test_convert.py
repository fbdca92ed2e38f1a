"""Our samples and predictions in Detectron2's terms; only where it is importable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask

from tests.transfer.engines.golden import heads as scene
from tests.transfer.engines.golden.values import noise
from transfer.datasets.coco.rle import decode

pytestmark = pytest.mark.detectron2


@pytest.fixture(scope="module")
def convert() -> Any:
    pytest.importorskip("detectron2", reason="Detectron2 is not importable")
    from transfer.engines.detectron2 import convert

    return convert


def test_a_sample_has_polygons_or_bitmaps_and_keypoints(convert: Any) -> None:
    from detectron2.structures import BitMasks, PolygonMasks

    polygons, run_lengths, _ = scene.samples()
    instances = convert.instances_of(polygons)
    assert instances.image_size == (100, 130)
    assert isinstance(instances.gt_masks, PolygonMasks)
    assert [len(shape) for shape in instances.gt_masks] == [1, 2]
    np.testing.assert_array_equal(instances.gt_masks.polygons[1][1], polygons.polygons[1][1])
    np.testing.assert_array_equal(instances.gt_keypoints.tensor, polygons.keypoints)
    bitmaps = convert.instances_of(run_lengths).gt_masks
    assert isinstance(bitmaps, BitMasks)
    np.testing.assert_array_equal(bitmaps.tensor, [mask.decode(m) > 0 for m in run_lengths.polygons])


def test_what_a_recipe_does_not_train_is_not_set(convert: Any) -> None:
    bare = replace(scene.samples()[0], polygons=None, keypoints=None)
    assert set(convert.instances_of(bare).get_fields()) == {"gt_boxes", "gt_classes"}
    nobody = replace(bare, boxes=torch.zeros(0, 4), classes=bare.classes[:0], polygons=[])
    assert len(convert.instances_of(nobody)) == 0


def test_outputs_become_the_fields_of_a_prediction(convert: Any) -> None:
    from detectron2.structures import Boxes, Instances

    count = 2 * convert.MASKS_AT_ONCE + 3
    found = Instances((20, 30))
    found.pred_boxes = Boxes(noise("boxes", count, 4))
    found.scores, found.pred_classes = torch.rand(count), torch.arange(count)
    assert set(convert.output_fields(found)) == {"boxes", "scores", "classes"}
    found.pred_masks = noise("masks", count, 20, 30) > 0.5
    found.pred_keypoints = noise("points", count, 4, 3)
    fields = convert.output_fields(found)
    np.testing.assert_array_equal(fields["boxes"], found.pred_boxes.tensor)
    np.testing.assert_array_equal(fields["classes"], np.arange(count))
    np.testing.assert_array_equal(decode(fields["masks"]), found.pred_masks)
    np.testing.assert_array_equal(fields["keypoints"], found.pred_keypoints)
    assert convert.output_fields(found[:0])["masks"] == []
