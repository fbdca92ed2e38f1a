"""Predicts masks by Mask R-CNN's head (He et al., arXiv 1703.06870), draws its targets, and pastes its masks.

Differs from torchvision's `MaskRCNNHeads` and loss: in Detectron2, with whose MaskRCNNConvUpsampleHead the
parameter names are shared, classes count from 0, targets are drawn from the polygons inside each region, and
the predictor starts near zero.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align

from transfer.datasets.coco.rle import encode
from transfer.engines.torchvision.backbones.layers import NormConv2d, msra_fill
from transfer.engines.torchvision.structures import Detections, Foreground, Targets
from transfer.samples.masks_and_keypoints import Shape

SMALLEST = 0.1  # pixels; a thinner region is not scaled any further
CHUNK = 2**26  # pixels of all masks that are pasted at once: 256 MB in single precision


class MaskHead(nn.Sequential):
    """Region features (N, channels, P, P) -> mask logits (N, num_classes, 2P, 2P). A `RegionHead`.

    Convolutions, a deconvolution, and one mask a class.

    `num_conv` is 4 behind a pyramid and 0 behind a shared last stage; `norm` stands behind each of these.
    """

    def __init__(self, channels: int, num_classes: int, num_conv: int, conv_dim: int, norm: str = ""):
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for k in range(1, num_conv + 1):
            layers[f"mask_fcn{k}"] = conv = NormConv2d(channels, conv_dim, 3, norm=norm, relu=True)
            msra_fill(conv)
            channels = conv_dim
        layers["deconv"] = deconv = nn.ConvTranspose2d(channels, conv_dim, 2, stride=2)
        msra_fill(deconv)
        layers["deconv_relu"] = nn.ReLU(inplace=True)
        layers["predictor"] = nn.Conv2d(conv_dim, num_classes, 1)
        super().__init__(layers)
        self.predictor: nn.Conv2d
        nn.init.normal_(self.predictor.weight, std=0.001)
        nn.init.zeros_(self.predictor.bias)  # type: ignore[arg-type]  # it has one

    def logits(self, pooled: Tensor, classes: Tensor) -> Tensor:
        """Mask logits (N, 2P, 2P) of one class a region, classes (N,).

        Only that class is computed: the others enter neither loss nor result, and with LVIS' 1230 classes
        they would cost more memory than all the rest of the head, and half its time.
        """
        x = pooled
        for layer in list(self)[:-1]:
            x = layer(x)
        side = x.shape[-1]
        with torch.autocast(x.device.type, enabled=False):  # probabilities are compared to 1e-4
            weight = self.predictor.weight.flatten(1)[classes]  # (N, conv_dim)
            bias = self.predictor.bias[classes]  # type: ignore[index]
            x = x.permute(0, 2, 3, 1).flatten(1, 2).to(weight.dtype)  # (N, pixels, conv_dim), no copy
            return torch.baddbmm(bias[:, None, None], x, weight[:, :, None]).view(-1, side, side)

    def select(self, foreground: Sequence[Foreground], targets: Sequence[Targets]) -> list[Foreground]:
        """Every foreground region."""
        return list(foreground)

    def losses(
        self, pooled: Tensor, foreground: Sequence[Foreground], targets: Sequence[Targets]
    ) -> dict[str, Tensor]:
        """`loss_mask`: the mean binary cross-entropy over the regions' pixels, 0 without regions."""
        # Copied before the head is queued: then a GPU computes it while the masks are drawn on the CPU.
        regions = [(f.boxes.cpu(), f.index.cpu()) for f in foreground]
        logits = self.logits(pooled, torch.cat([f.classes for f in foreground]))
        drawn = [
            rasterise(t.polygons, boxes, index, logits.shape[-1])
            for t, (boxes, index) in zip(targets, regions, strict=True)
        ]
        wanted = torch.cat(drawn).to(logits.device, logits.dtype)
        total = F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
        return {"loss_mask": total / max(logits.numel(), 1)}

    def detect(self, pooled: Tensor, found: Sequence[Detections]) -> list[Detections]:
        """The detections with the mask probabilities of their class."""
        masks = self.logits(pooled, torch.cat([d.classes for d in found])).sigmoid()
        parts = masks.split([len(d.classes) for d in found])
        return [replace(d, masks=m) for d, m in zip(found, parts, strict=True)]


def rasterise(shapes: Sequence[Shape] | None, boxes: Tensor, index: Tensor, size: int) -> Tensor:
    """(F, size, size) bool: the mask of object index[f] within boxes[f], (F, 4), all on the CPU.

    Polygons are scaled into the region and drawn with COCO's rasteriser; run-length masks are cropped with
    RoIAlign and cut at 0.5. Both as Detectron2 does it for its two mask formats.
    """
    assert shapes is not None, "a mask head needs samples with polygons"
    if len(index) == 0:
        return torch.zeros(0, size, size, dtype=torch.bool)
    chosen = [shapes[i] for i in index.tolist()]
    polygons = [f for f, shape in enumerate(chosen) if isinstance(shape, list)]
    out = np.zeros((len(chosen), size, size), bool)
    if polygons:
        out[polygons] = _draw([chosen[f] for f in polygons], boxes[polygons].numpy(), size)
    regions_of: dict[int, list[int]] = defaultdict(list)
    for f, i in enumerate(index.tolist()):
        if not isinstance(shapes[i], list):
            regions_of[i].append(f)
    for i, regions in regions_of.items():
        out[regions] = _crop(shapes[i], boxes[regions], size)
    return torch.from_numpy(out)


def _draw(shapes: Sequence[Any], boxes: np.ndarray, size: int) -> np.ndarray:
    """(F, size, size) bool of polygons.

    All points are moved at once, and all polygons drawn and read back in one call each.
    """
    from pycocotools import mask

    boxes = boxes.astype(np.float32)
    corner = boxes[:, :2]
    scale = size / np.maximum(boxes[:, 2:] - corner, np.float32(SMALLEST))  # in single precision, as there
    counts = [len(polygons) for polygons in shapes]
    flat = [polygon for polygons in shapes for polygon in polygons]
    owner = np.repeat(np.arange(len(shapes)), counts)
    lengths = np.array([len(p) for p in flat]) // 2
    points = np.concatenate([p for p in flat]).reshape(-1, 2)
    of_point = np.repeat(owner, lengths)
    moved = (points - corner[of_point]) * scale[of_point]
    parts = np.split(moved.ravel(), np.cumsum(lengths * 2)[:-1])
    drawn = mask.frPyObjects(parts, size, size)
    whole, at = [], 0
    for n in counts:
        whole.append(drawn[at] if n == 1 else mask.merge(drawn[at : at + n]))
        at += n
    return mask.decode(whole).transpose(2, 0, 1).astype(bool)


def _crop(rle: Any, boxes: Tensor, size: int) -> np.ndarray:
    """(F, size, size) bool: regions of one run-length mask."""
    from pycocotools import mask

    bitmap = torch.from_numpy(np.ascontiguousarray(mask.decode(rle))).float()[None, None]
    return (roi_align(bitmap, [boxes.float()], size, 1.0, 0, aligned=True)[:, 0] >= 0.5).numpy()


def output_masks(found: Detections, size: tuple[int, int]) -> list[dict[str, Any]] | None:
    """The `masks` of a Prediction: D run-length dicts of an image of `size` (height, width)."""
    if found.masks is None:
        return None
    at_once = max(CHUNK // (size[0] * size[1]), 1)
    parts = zip(found.masks.split(at_once), found.boxes.split(at_once), strict=True)
    return [rle for masks, boxes in parts for rle in encode(paste_masks(masks, boxes, size).cpu().numpy())]


def paste_masks(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Probabilities (D, S, S) over boxes (D, 4) -> (D, H, W) bool of an image of `size` (height, width).

    Equals Detectron2's `paste_masks_in_image`: a pixel is in the mask where the bilinear sample at its centre
    reaches 0.5, with zeros around the mask. That sampling is separable on an axis-aligned box, so it is two
    small matrix products here instead of a general `grid_sample`. The result lies column by column in memory,
    as the run lengths want it.
    """
    height, width = size
    out = torch.zeros(len(masks), width, height, dtype=torch.bool, device=masks.device)
    if masks.device.type == "cpu":  # one by one, each only in the pixels of its box
        low, high = boxes[:, :2].floor().clamp(min=0), boxes[:, 2:].ceil()
        for n, (x0, y0, x1, y1) in enumerate(torch.cat([low, high], dim=1).long().tolist()):
            columns, rows = range(x0, min(x1, width)), range(y0, min(y1, height))
            out[n, x0:x1, y0:y1] = _sample(masks[n : n + 1], boxes[n : n + 1], columns, rows)[0]
        return out.transpose(1, 2)
    at_once = max(CHUNK // (height * width), 1)
    for start in range(0, len(masks), at_once):
        part = slice(start, start + at_once)
        out[part] = _sample(masks[part], boxes[part], range(width), range(height))
    return out.transpose(1, 2)


def _sample(masks: Tensor, boxes: Tensor, columns: range, rows: range) -> Tensor:
    """(D, columns, rows) bool: the masks at the centres of these pixels."""
    across = _weights(boxes[:, 0], boxes[:, 2], columns, masks)  # (D, W, S)
    down = _weights(boxes[:, 1], boxes[:, 3], rows, masks)  # (D, H, S)
    return across @ (masks.transpose(1, 2) @ down.transpose(1, 2)) >= 0.5


def _weights(start: Tensor, end: Tensor, pixels: range, masks: Tensor) -> Tensor:
    """(D, pixels, S): how much each cell of one axis adds to each pixel."""
    side = masks.shape[-1]
    centres = torch.arange(pixels.start, pixels.stop, device=masks.device, dtype=masks.dtype) + 0.5
    # In cells, by way of [-1, 1] as in `grid_sample`: the same rounding decides pixels that lie between.
    places = (((centres - start[:, None]) / (end - start)[:, None] * 2 - 1 + 1) * side - 1) / 2
    cells = torch.arange(side, device=masks.device, dtype=masks.dtype)
    return (1 - (places[..., None] - cells).abs()).clamp(min=0)
