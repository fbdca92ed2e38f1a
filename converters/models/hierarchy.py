"""Holds what ConvNeXt and Swin share: four stages, maps at strides 4 to 32, and norms on these maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

STAGES = (1, 2, 3, 4)
DEVIATION = 0.02  # of the normal from which both papers' code draws
Maps = dict[str, Tensor]


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (N, C, H, W) maps."""

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Hierarchy(nn.Module):
    """Names, strides and channels of the maps of `out_stages` (1 to 4), and what is done to them."""

    strides: dict[str, int]
    channels: dict[str, int]  # by the map's name, as strides
    size_divisibility: int  # images whose sides are multiples of it have maps that halve exactly
    fresh: tuple[str, ...]  # patterns of tensors that no backbone file has

    def __init__(  # parameters: each is a fact of the network or an option of its function
        self,
        facts: Mapping[str, Any],
        widths: Sequence[int],
        patch_size: int,
        *,
        out_stages: Sequence[int] = STAGES,
        drop_path: float = 0.0,
        norm_maps: bool = False,
        norm_last: bool = False,
    ) -> None:
        """Takes the options of both networks' functions.

        out_stages: those that are computed and given; drop_path: stochastic depth of the last block;
        norm_maps: a fresh channel norm on each map, as both papers' detectors and segmenters have;
        norm_last: the network's own final norm on stage 4, where its classifier has it; excludes norm_maps.

        ValueError for stages that there are not, or a final norm that is not there.
        """
        super().__init__()
        if not out_stages or list(out_stages) != [stage for stage in STAGES if stage in out_stages]:
            raise ValueError(f"out_stages {list(out_stages)}; expected some of {list(STAGES)} in this order")
        if norm_last and (norm_maps or not facts["final_norm"]):
            raise ValueError("norm_last needs a backbone with a final norm, and excludes norm_maps")
        self.out_stages, self.norm_last = tuple(out_stages), norm_last
        self.strides = {f"stage{stage}": patch_size << (stage - 1) for stage in out_stages}
        self.channels = {f"stage{stage}": widths[stage - 1] for stage in out_stages}
        self.size_divisibility = max(self.strides.values())
        self.fresh = ("norm_maps.*",) if norm_maps else ()
        normed = out_stages if norm_maps else ()
        eps = facts["norm_eps"]
        self.norm_maps = nn.ModuleDict({f"{s - 1}": ChannelNorm(widths[s - 1], eps) for s in normed})
        # It rises linearly from 0 in the first block.
        self.rates = torch.linspace(0, drop_path, sum(facts["depths"]), device="cpu").tolist()

    def named(self, stage: int, maps: Tensor) -> Maps:
        """The maps (N, C, H, W) of a stage by their name, normed if that is asked for; {} if nobody is."""
        if stage not in self.out_stages:
            return {}
        norm = self.norm_maps[f"{stage - 1}"] if self.norm_maps else nn.Identity()
        return {f"stage{stage}": norm(maps)}


def start(module: nn.Module, *kinds: type[nn.Conv2d | nn.Linear]) -> None:
    """Draws weights of layers of these kinds from a normal of 0.02, with biases 0; others stay torch's."""
    for part in module.modules():
        if isinstance(part, kinds):
            nn.init.trunc_normal_(part.weight, std=DEVIATION)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
