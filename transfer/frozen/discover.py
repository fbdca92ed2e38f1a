"""Finds one object an image by LOST on a network's patches, and scores the boxes by CorLoc.

What is kept in the cache of features is the box, four numbers an image: the patches of VOC 2007 would be
seven gigabytes of a small ViT, and no other suite reads them. One forward pass an image, at its own size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from yacs.config import CfgNode

from transfer.datasets.base import Dataset
from transfer.datasets.image_list.images import Images, Place
from transfer.errors import DataError, TransferError
from transfer.evaluation.per_image import Outcomes
from transfer.frozen.network import Frozen, last_map
from transfer.frozen.probes import Result
from transfer.frozen.view import Whole
from transfer.frozen.work import Finish, Finished, Work, there
from transfer.probes.discovery import localised, map_features, object_box
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resolve import flatten
from transfer.recipes.vit import VIT

MOST = 16_384  # patches of an image, of which each is held against each: 1 GiB
Box = tuple[float, float, float, float]
NOTHING: Box = (0.0, 0.0, 0.0, 0.0)  # no patch is unlike another one


class Discoverer(Frozen):
    """(1, H, W, 3) uint8 RGB -> (1, 4) the box (x0, y0, x1, y1) in pixels of the one object that is found.

    Its patches are the keys of a ViT's last block, without class and register tokens; of another network
    those of its coarsest map, of mean 0 and variance 1. The image is padded to whole patches by zeros.
    """

    def __init__(self, cfg: CfgNode):
        super().__init__(cfg)
        self.is_vit = architecture_of(flatten(cfg)).family is VIT
        self.last = last_map(self.backbone)
        self.count = cfg.PROBE.PATCHES

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[1:3]
        stride = self.backbone.strides[self.last]
        rows, columns = -(-height // stride), -(-width // stride)
        if rows * columns > MOST:
            raise TransferError(
                f"an image of {width} x {height} pixels has {rows * columns} patches, more than {MOST}; give "
                "PROBE.SIDE, to which the shorter side of each image is resized"
            )
        padded = F.pad(self.pixels(images), (0, columns * stride - width, 0, rows * stride - height))
        patches, grid = self._keys(padded, (rows, columns)) if self.is_vit else self._map(padded)
        box = NOTHING
        if patches.abs().amax(1).min() > 0:
            box = object_box(patches, grid, (padded.shape[2], padded.shape[3]), self.count)
        x0, y0, x1, y1 = box
        return torch.tensor([[x0, y0, min(x1, width), min(y1, height)]])

    def _map(self, pixels: Tensor) -> tuple[Tensor, tuple[int, int]]:
        found = self.backbone(pixels)[self.last][0].float()
        return map_features(found), (found.shape[1], found.shape[2])

    def _keys(self, pixels: Tensor, grid: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
        kept: list[Tensor] = []
        layer = self.backbone.blocks[-1].attn.qkv
        handle = layer.register_forward_hook(lambda module, given, made: kept.append(made))
        try:
            self.backbone.tokens(pixels)
        finally:
            handle.remove()
        _, keys, _ = kept[0][0].float().chunk(3, -1)
        return keys[self.backbone.prefix :], grid


def discovery_step(work: Work, train: Dataset[Any], test: Dataset[Any]) -> Finish:
    """Boxes of all images that have a true one; those of VOC's difficult objects count, as in LOST."""
    records = [record for record in test.records if _boxes(record)]
    if not records:
        raise DataError(f"{test.title}: no image has an object, so there is nothing to discover; add boxes")
    ids = [str(record["image_id"]) for record in records]
    images = Images(test.name, tuple(ids), tuple(Place(str(record["file_name"])) for record in records))
    view = Whole(work.cfg.PROBE.SIDE, work.cfg.FEATURES.INTERPOLATION)
    found = work.features(images, view, one_by_one=True)

    def finish() -> Finished:
        seen = zip(there(found), records, strict=True)
        boxes = [_in_image(box, view, record) for box, record in seen]
        hits = localised(boxes, [_boxes(record) for record in records])
        kept = Outcomes(
            ids, {"discovery/CorLoc": {"kind": "mean", "of": "discovery"}}, {"discovery.value": hits}
        )
        told = {"images": len(ids), "without_an_object": len(test.records) - len(ids)}
        result = Result({"discovery": {"CorLoc": 100 * float(hits.mean())}}, told, lambda _: kept)
        return Finished(result, None, ids)

    return finish


def _boxes(record: dict[str, Any]) -> list[list[float]]:
    """The true boxes of a record, without COCO's crowds, which are no single objects."""
    return [one["bbox"] for one in record["annotations"] if not one.get("iscrowd")]


def _in_image(box: np.ndarray, view: Whole, record: dict[str, Any]) -> np.ndarray:
    """The box in pixels of the image, of one in pixels of what was seen."""
    size = np.array([record["width"], record["height"]], float)
    return box.astype(float) * np.tile(size / view.size(record["width"], record["height"]), 2)
