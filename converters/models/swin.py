"""Computes a Swin transformer (arXiv 2103.14030) under the authors' tensor names, for images of any size.

Attention in shifted windows, padded and masked, is torchvision's function. Its modules are not used: they
have other names, one window for all stages and no maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.swin_transformer import shifted_window_attention
from torchvision.ops import StochasticDepth

from converters.models.hierarchy import DEVIATION, STAGES, Hierarchy, Maps, start
from converters.models.mlp import Mlp
from converters.models.positions import bicubic, pairs


class Attention(nn.Module):
    """Self-attention inside windows of (N, H, W, C), shifted by half a window or not."""

    def __init__(self, width: int, heads: int, window: int, shifted: bool) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, window // 2 if shifted else 0
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        rows = pairs((self.window, self.window), False, x.device)
        bias = self.relative_position_bias_table[rows].permute(2, 0, 1)[None]
        return shifted_window_attention(
            x,
            self.qkv.weight,
            self.proj.weight,
            bias,
            [self.window] * 2,
            self.heads,
            [self.shift] * 2,
            qkv_bias=self.qkv.bias,
            proj_bias=self.proj.bias,
        )


class Block(nn.Module):
    """Attention and an MLP, each behind a norm and added to its input (N, H, W, C)."""

    def __init__(self, width: int, attention: Attention, eps: float, drop: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.attn = attention
        self.mlp = Mlp(width, 4 * width, "gelu", None)
        self.drop_path = StochasticDepth(drop, "row")

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class Merging(nn.Module):
    """Halves (N, H, W, C) and doubles C; an odd side is filled up with zeros."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width, eps)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        quarters = (x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2])
        return self.reduction(self.norm(torch.cat(quarters, -1)))


class Stage(nn.Module):
    """The blocks of one width, and the merging behind them; the maps are those between the two."""

    def __init__(self, blocks: Sequence[Block], downsample: Merging | None) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class Patches(nn.Module):
    """Patches of (N, 3, H, W) as vectors (N, H/p, W/p, C), rounded up: the last are filled up with zeros."""

    def __init__(self, size: int, width: int, eps: float | None) -> None:
        super().__init__()
        self.size = size
        self.proj = nn.Conv2d(3, width, size, size)
        self.norm = nn.Identity() if eps is None else nn.LayerNorm(width, eps)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (0, -x.shape[3] % self.size, 0, -x.shape[2] % self.size))
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class Swin(Hierarchy):
    """Maps `stage1` to `stage4` of normalised images (N, 3, H, W), each (N, C, H/s, W/s) rounded up.

    facts: a manifest of the family `swin`, or its facts alone. A stage that is no larger than its window is
    not shifted, as in training; Detectron2's copy shifts it nevertheless.
    """

    def __init__(self, facts: Mapping[str, Any], **options: Any) -> None:
        """Options, and ValueError, as of `Hierarchy`."""
        widths = [facts["embed_dim"] << stage for stage in range(4)]
        eps, patch = facts["norm_eps"], facts["patch_size"]
        super().__init__(facts, widths, patch, **options)
        self.patch_embed = Patches(patch, widths[0], eps if facts["patch_norm"] else None)
        if facts["absolute_positions"]:
            self.absolute_pos_embed = nn.Parameter(torch.zeros(1, facts["absolute_positions"], widths[0]))
        rates = iter(self.rates)
        stages = []
        for stage, (width, depth) in enumerate(zip(widths, facts["depths"], strict=True)):
            heads, window = facts["num_heads"][stage], facts["window"][stage]
            blocks = [
                Block(width, Attention(width, heads, window, bool(block % 2)), eps, next(rates))
                for block in range(depth)
            ]
            stages.append(Stage(blocks, Merging(width, eps) if stage < 3 else None))
        self.layers = nn.ModuleList(stages)
        if facts["final_norm"]:
            self.norm = nn.LayerNorm(widths[-1], eps)
        # The authors' code leaves the patches' convolution as torch draws it, and draws the tables, too.
        start(self, nn.Linear)
        for name, table in self.named_parameters():
            if name.endswith(("relative_position_bias_table", "absolute_pos_embed")):
                nn.init.trunc_normal_(table, std=DEVIATION)

    def forward(self, x: Tensor) -> Maps:
        x = self._positioned(self.patch_embed(x))
        found: Maps = {}
        for stage, layer in enumerate(self.layers[: max(self.out_stages)], 1):
            x = layer(x)
            last = self.norm(x) if stage == STAGES[-1] and self.norm_last else x
            found |= self.named(stage, last.permute(0, 3, 1, 2))
            if isinstance(layer.downsample, Merging) and stage < max(self.out_stages):
                x = layer.downsample(x)
        return found

    def _positioned(self, x: Tensor) -> Tensor:
        """The patches with their positions, a square grid that is resized by bicubic interpolation."""
        if not hasattr(self, "absolute_pos_embed"):
            return x
        side = round(self.absolute_pos_embed.shape[1] ** 0.5)
        grid = self.absolute_pos_embed.unflatten(1, (side, side)).permute(0, 3, 1, 2)
        return x + bicubic(grid, (x.shape[1], x.shape[2])).permute(0, 2, 3, 1)
