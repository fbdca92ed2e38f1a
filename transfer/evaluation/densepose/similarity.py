"""Compares detections with people, image by image: by geodesic point similarity, mask and box overlap."""

from __future__ import annotations

from typing import Any

import numpy as np

from transfer.datasets.coco.densepose import FRAME
from transfer.datasets.coco.rle import whole_mask
from transfer.evaluation.densepose.geodesics import Surface

MAX_DETECTIONS = 20
# Mean geodesic distance (metres) on each of eight body parts, and the part of each of the 24 patches.
KAPPA = np.array([0, 0.351, 0.107, 0.126, 0.237, 0.173, 0.142, 0.128, 0.150])
PART_OF_PATCH = np.array([0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8])


def similarities(gt: Any, dt: Any, mesh: Surface) -> dict[tuple[int, int], dict[str, np.ndarray]]:
    """(image id, category id) -> {"gps", "gpsm", "segm", "box"}, each (D, G), detections by falling score."""
    from pycocotools import mask as rle

    people, found = grouped(gt), grouped(dt)
    out = {}
    for key in people.keys() & found.keys():
        size = gt.imgs[key[0]]["height"], gt.imgs[key[0]]["width"]
        ranks = np.argsort([-d["score"] for d in found[key]], kind="mergesort")[:MAX_DETECTIONS]
        # Decoded here, once for all people of the image.
        ranked = [{**found[key][i], "densepose": dict(found[key][i]["densepose"])} for i in ranks]
        crowd = [int(g["iscrowd"]) for g in people[key]]
        gps = np.zeros((len(ranked), len(people[key])))
        for j, g in enumerate(people[key]):
            if "dp_x" in g:
                points = _Points(g, mesh)
                gps[:, j] = [points.similarity(d) for d in ranked]
        masks = [_on_image(d["densepose"]["labels"] > 0, d["bbox"], size) for d in ranked]
        truth = [_truth_mask(g, size) for g in people[key]]
        overlap = np.asarray(rle.iou([_rle(m) for m in masks], [_rle(m) for m in truth], crowd))
        boxes = np.asarray(rle.iou([d["bbox"] for d in ranked], [g["bbox"] for g in people[key]], crowd))
        out[key] = {"gps": gps, "segm": overlap, "gpsm": np.sqrt(overlap * gps), "box": boxes}
    return out


def grouped(coco: Any) -> dict[tuple[int, int], list[dict[str, Any]]]:
    """Annotations of a COCO object by (image id, category id), in the order of the file."""
    groups: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for annotation in coco.dataset["annotations"]:
        groups.setdefault((annotation["image_id"], annotation["category_id"]), []).append(annotation)
    return groups


class _Points:
    """The labelled points of one person, found on the mesh once."""

    def __init__(self, person: dict[str, Any], mesh: Surface):
        self._mesh = mesh
        x, y, w, h = person["bbox"]
        self._x = np.array(person["dp_x"]) * w / 255.0 + x
        self._y = np.array(person["dp_y"]) * h / 255.0 + y
        patch = np.array(person["dp_I"])
        self._at = mesh.nearest(patch, np.array(person["dp_U"]), np.array(person["dp_V"]))
        self._kappa = KAPPA[PART_OF_PATCH[mesh.patch[self._at].astype(int)]]

    def similarity(self, detection: dict[str, Any]) -> float:
        """GPS in [0, 1]; points outside of the detection, or on its background, count as infinitely far."""
        x, y, w, h = detection["bbox"]
        px, py = (self._x - x).astype(int), (self._y - y).astype(int)
        inside = (px >= 0) & (py >= 0) & (px < int(w)) & (py < int(h))
        if not inside.any():
            return 0.0
        surface = detection["densepose"]
        patch = np.zeros(len(px))
        u, v = np.zeros(len(px)), np.zeros(len(px))
        row, column = py[inside], px[inside]
        patch[inside] = surface["labels"][row, column]
        # Eight bits for U and V, as results are stored and the published numbers were made.
        eight = np.clip(surface["uv"][:, row, column] * 255.0, 0, 255).astype(np.uint8) / 255.0
        u[inside], v[inside] = eight
        distance = self._mesh.between(self._at, self._mesh.nearest(patch, u, v))
        return float(np.exp(-(distance**2) / (2 * self._kappa**2)).mean())


def _rle(mask: np.ndarray) -> dict[str, Any]:
    from pycocotools import mask as rle

    return rle.encode(np.asfortranarray(mask, np.uint8))


def _truth_mask(person: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: the union of the part masks, brought from their frame to the box.

    Of a person without them it is the segmentation.
    """
    from pycocotools import mask as rle

    if "dp_masks" not in person:
        return _shape_mask(person["segmentation"], size)
    body = np.zeros((FRAME, FRAME))
    for part in person["dp_masks"]:
        if part:
            body[rle.decode(part) > 0] = 1.0
    _, _, w, h = person["bbox"]
    return _on_image(enlarge(body, max(h, 1) / FRAME, max(w, 1) / FRAME) > 0.5, person["bbox"], size)


def _shape_mask(shape: Any, size: tuple[int, int]) -> np.ndarray:
    from pycocotools import mask as rle

    return rle.decode(whole_mask(shape, size)) > 0


def enlarge(image: np.ndarray, scale_y: float, scale_x: float) -> np.ndarray:
    """Bilinear resize with corners kept, equal to scipy.ndimage.zoom of order 1 to the last bit.

    Terms are added in its order: masks are cut at one half, and many values are exactly that.
    """
    (top, down), (left, right) = (
        _neighbours(n, s) for n, s in zip(image.shape, (scale_y, scale_x), strict=True)
    )
    out = np.zeros((len(top[0]), len(left[0])))
    for row, weight_y in (top, down):
        for column, weight_x in (left, right):
            out += image[np.ix_(row, column)] * weight_y[:, None] * weight_x
    return out


def _neighbours(
    size: int, scale: float
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """(index, weight) of the lower and of the upper neighbour of each resized position."""
    count = round(size * scale)
    at = np.arange(count) * ((size - 1) / (count - 1) if count > 1 else 0.0)
    low = np.floor(at).astype(int)
    weight = at - low
    # The last position may land a rounding error beyond the end; scipy has zero there, so the score has too.
    inside = (at <= size - 1).astype(float)
    return (np.minimum(low, size - 1), (1 - weight) * inside), (
        np.minimum(low + 1, size - 1),
        weight * inside,
    )


def _on_image(mask: np.ndarray, bbox: Any, size: tuple[int, int]) -> np.ndarray:
    """A mask of the size of its box, laid onto the image (what reaches beyond is cut)."""
    out = np.zeros(size, bool)
    x, y = int(bbox[0]), int(bbox[1])
    x0, y0 = max(x, 0), max(y, 0)
    x1 = min(int(bbox[0] + bbox[2]), size[1], x + mask.shape[1])
    y1 = min(int(bbox[1] + bbox[3]), size[0], y + mask.shape[0])
    if x1 > x0 and y1 > y0:
        out[y0:y1, x0:x1] = mask[y0 - y : y1 - y, x0 - x : x1 - x]
    return out
