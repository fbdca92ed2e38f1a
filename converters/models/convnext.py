"""Computes a ConvNeXt (arXiv 2201.03545) or ConvNeXt V2 (2301.00808) under the authors' tensor names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from converters.models.hierarchy import STAGES, ChannelNorm, Hierarchy, Maps, start


class ResponseNorm(nn.Module):
    """V2's global response norm of (N, H, W, C): channels compete by their norm over the image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, width))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        strength = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
        strength = strength / (strength.mean(dim=-1, keepdim=True) + 1e-6)
        return self.gamma * (x * strength) + self.beta + x


class Block(nn.Module):
    """A depthwise convolution and a channel MLP, added to their input (N, C, H, W)."""

    def __init__(self, width: int, facts: Mapping[str, Any], drop: float) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, facts["norm_eps"])
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.grn = ResponseNorm(4 * width) if facts["grn"] else nn.Identity()
        self.pwconv2 = nn.Linear(4 * width, width)
        # Begins at 1, as in the authors' detectors; their classifiers begin at 1e-6.
        self.gamma = nn.Parameter(torch.ones(width)) if facts["layer_scale"] else None
        self.drop_path = StochasticDepth(drop, "row")

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.pwconv2(self.grn(functional.gelu(self.pwconv1(y))))
        y = y if self.gamma is None else self.gamma * y
        return x + self.drop_path(y.permute(0, 3, 1, 2))


class ConvNeXt(Hierarchy):
    """Maps `stage1` to `stage4` of normalised images (N, 3, H, W), each (N, C, H/s, W/s) rounded down.

    facts: a manifest of the family `convnext`, or its facts alone.
    """

    def __init__(self, facts: Mapping[str, Any], **options: Any) -> None:
        """Options, and ValueError, as of `Hierarchy`."""
        dims, depths, eps = facts["dims"], facts["depths"], facts["norm_eps"]
        super().__init__(facts, dims, 4, **options)
        entries = [nn.Sequential(nn.Conv2d(3, dims[0], 4, 4), ChannelNorm(dims[0], eps))]
        for before, after in zip(dims, dims[1:], strict=False):
            entries.append(nn.Sequential(ChannelNorm(before, eps), nn.Conv2d(before, after, 2, 2)))
        self.downsample_layers = nn.ModuleList(entries)
        rates = iter(self.rates)
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width, facts, next(rates)) for _ in range(depth)))
            for width, depth in zip(dims, depths, strict=True)
        )
        if facts["final_norm"]:
            self.norm = nn.LayerNorm(dims[-1], eps)
        start(self, nn.Conv2d, nn.Linear)

    def forward(self, x: Tensor) -> Maps:
        found: Maps = {}
        for stage in range(1, max(self.out_stages) + 1):
            x = self.stages[stage - 1](self.downsample_layers[stage - 1](x))
            if stage == STAGES[-1] and self.norm_last:
                x = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            found |= self.named(stage, x)
        return found
