"""Pools a region from one map, or from the pyramid level that suits the region's size (FPN, equation 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from transfer.engines.torchvision.backbones.layers import rows_of
from transfer.engines.torchvision.regions.roi_align import roi_align

CANONICAL_SIZE, CANONICAL_LEVEL = 224, 4  # a region of 224 pixels is read at stride 16


@dataclass(frozen=True)
class Pooler:
    """Pools by a head's POOLER_RESOLUTION, _SAMPLING_RATIO and _TYPE, from some maps (finest first)."""

    strides: Mapping[str, int]
    size: int
    sampling_ratio: int
    aligned: bool  # ROIAlignV2

    def __call__(self, features: Mapping[str, Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """Maps (N, C, H_l, W_l), per image boxes (R_i, 4) in image pixels -> (sum R_i, C, size, size)."""
        maps = [features[name] for name in self.strides]
        scales = [1 / stride for stride in self.strides.values()]
        if len(maps) == 1:
            return roi_align(maps[0], boxes, self.size, scales[0], self.sampling_ratio, self.aligned)
        levels = self._levels(torch.cat(list(boxes)))
        of_image = levels.split([len(b) for b in boxes])
        places, parts = [], []
        for level, (feature, scale) in enumerate(zip(maps, scales, strict=True)):
            chosen = [b[of == level] for b, of in zip(boxes, of_image, strict=True)]
            places.append((levels == level).nonzero().squeeze(1))
            parts.append(roi_align(feature, chosen, self.size, scale, self.sampling_ratio, self.aligned))
        pooled = torch.cat([part.permute(0, 2, 3, 1) for part in parts]).permute(0, 3, 1, 2)
        return rows_of(pooled, torch.cat(places).argsort())  # back to the order of the boxes

    def _levels(self, boxes: Tensor) -> Tensor:
        """Index of the map of every box."""
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        level = torch.floor(CANONICAL_LEVEL + torch.log2(area.sqrt() / CANONICAL_SIZE + 1e-8))
        finest = min(self.strides.values()).bit_length() - 1
        return (level.clamp(finest, finest + len(self.strides) - 1) - finest).to(torch.int64)
