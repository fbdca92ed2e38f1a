"""Holds what ConvNeXt and Swin share: four stages, maps at strides 4 to 32, and norms on these maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

STAGES = (1, 2, 3, 4)
Maps = dict[str, Tensor]


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (N, C, H, W) maps."""

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Hierarchy(nn.Module):
    """Names, strides and channels of the maps of `out_stages` (1 to 4).

    `norm_maps` puts a fresh channel norm on each of these maps, as both papers' detectors and segmenters do.
    """

    strides: dict[str, int]
    channels: dict[str, int]  # by the map's name, as strides
    size_divisibility: int  # images whose sides are multiples of it have maps that halve exactly
    fresh: tuple[str, ...]  # patterns of tensors that no backbone file has

    def __init__(
        self, widths: Sequence[int], patch_size: int, out_stages: Sequence[int], norm_maps: bool, eps: float
    ) -> None:
        """ValueError unless `out_stages` are some of 1 to 4 in rising order."""
        super().__init__()
        if not out_stages or list(out_stages) != [stage for stage in STAGES if stage in out_stages]:
            raise ValueError(f"out_stages {list(out_stages)}; expected some of {list(STAGES)} in this order")
        self.out_stages = tuple(out_stages)
        self.strides = {f"stage{stage}": patch_size << (stage - 1) for stage in out_stages}
        self.channels = {f"stage{stage}": widths[stage - 1] for stage in out_stages}
        self.size_divisibility = max(self.strides.values())
        self.fresh = ("norm_maps.*",) if norm_maps else ()
        normed = out_stages if norm_maps else ()
        self.norm_maps = nn.ModuleDict({f"{s - 1}": ChannelNorm(widths[s - 1], eps) for s in normed})

    def named(self, stage: int, maps: Tensor) -> Maps:
        """The maps (N, C, H, W) of a stage by their name, normed if that is asked for; {} if nobody is."""
        if stage not in self.out_stages:
            return {}
        norm = self.norm_maps[f"{stage - 1}"] if self.norm_maps else nn.Identity()
        return {f"stage{stage}": norm(maps)}


def drop_rates(drop_path: float, blocks: int) -> list[float]:
    """Stochastic depth that rises linearly from 0 in the first block to `drop_path` in the last."""
    return torch.linspace(0, drop_path, blocks, device="cpu").tolist()


def start(module: nn.Module) -> None:
    """Draws kernels and matrices from a normal of 0.02, with biases 0, as both papers' code does."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(part.weight, std=0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def final_norm_wanted(facts: Mapping[str, Any], norm_maps: bool, norm_last: bool) -> bool:
    """Whether the final norm is computed. ValueError where it is not there, or would be normed again."""
    if norm_last and (norm_maps or not facts["final_norm"]):
        raise ValueError("norm_last needs a backbone with a final norm, and excludes norm_maps")
    return norm_last
