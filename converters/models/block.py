"""Computes one block of a ViT: attention on the map or in windows, then the MLP, each added to its input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from converters.models.attention import Attention, Field
from converters.models.mlp import Mlp, SwiGLU
from converters.models.windows import Grid, from_windows, to_windows


class Scale(nn.Module):
    """Layer scale: a learned factor for each channel of what a block adds."""

    def __init__(self, width: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """(N, prefix + H * W, D) -> the same.

    window: side of the windows, 0 for the whole map; relative_side and bias_side as in `Attention`;
    drop_path: the chance that an image leaves out what is added. In windows each has its own copy of the
    prefix tokens, and the mean of what the copies learn is added to the token.
    """

    def __init__(
        self, facts: Mapping[str, Any], window: int, relative_side: int, drop_path: float, bias_side: int = 0
    ):
        super().__init__()
        width, eps = facts["embed_dim"], facts["norm_eps"]
        self.window = window
        self.norm1 = nn.LayerNorm(width, eps)
        self.attn = Attention(facts, window if window and relative_side else relative_side, bias_side)
        self.norm2 = nn.LayerNorm(width, eps)
        norm_eps = eps if facts["mlp_norm"] else None
        self.mlp: nn.Module = (
            SwiGLU(width, facts["mlp_dim"], norm_eps)
            if facts["mlp"] == "swiglu"
            else Mlp(width, facts["mlp_dim"], facts["activation"], norm_eps)
        )
        self.scaled = facts["layer_scale"]
        if self.scaled:
            self.ls1, self.ls2 = Scale(width), Scale(width)
        self.drop_path = StochasticDepth(drop_path, "row") if drop_path else nn.Identity()

    def forward(self, x: Tensor, field: Field, grid: Grid) -> Tensor:
        """field: what the attention sees; grid: of the map, which windows are cut from."""
        y = self.norm1(x)
        y = self._in_windows(y, field, grid) if self.window else self.attn(y, field)
        x = x + self.drop_path(self.ls1(y) if self.scaled else y)
        y = self.mlp(self.norm2(x))
        return x + self.drop_path(self.ls2(y) if self.scaled else y)

    def _in_windows(self, x: Tensor, field: Field, grid: Grid) -> Tensor:
        prefix, patches = x[:, : field.prefix], x[:, field.prefix :]
        windows = to_windows(patches.unflatten(1, grid), self.window)
        copies = len(windows) // len(x)
        y = self.attn(torch.cat([prefix.repeat_interleave(copies, 0), windows], 1), field)
        patches = from_windows(y[:, field.prefix :], self.window, grid).flatten(1, 2)
        prefix = y[:, : field.prefix].unflatten(0, (-1, copies)).mean(1)
        return torch.cat([prefix, patches], 1)
