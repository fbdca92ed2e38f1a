"""Computes self-attention over prefix tokens and the patches of a map, with every position that a ViT has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from converters.models.positions import CLASS_ROWS, decomposed_bias, table_bias
from converters.models.rope import Turn, turned
from converters.models.windows import Grid


class Field(NamedTuple):
    """The map, or one of its windows, that an attention looks at."""

    grid: Grid
    prefix: int  # tokens before the patches: class token and registers
    turn: Turn | None  # rotary positions of the patches
    bias: Tensor | None  # (heads, L, L) that all blocks share
    rows: Tensor | None  # of the blocks' own tables of relative positions, where they have any


class Table(nn.Module):
    """BEiT's table of relative positions, where all blocks share one."""

    def __init__(self, side: int, heads: int):
        super().__init__()
        self.relative_position_bias_table = bias_table(side, heads)


def bias_table(side: int, heads: int) -> nn.Parameter:
    """((2 side - 1)^2 + 3, heads) of zeros."""
    return nn.Parameter(torch.zeros((2 * side - 1) ** 2 + CLASS_ROWS, heads))


class Attention(nn.Module):
    """(N, prefix + H * W, D) -> the same; heads of equal width, by torch's own kernels.

    relative_side: cells of a side of the map for which Detectron2's relative positions are made; 0 for none.
    bias_side: the same of a new table of BEiT's kind, which is added to all else.
    """

    def __init__(self, facts: Mapping[str, Any], relative_side: int, bias_side: int = 0):
        super().__init__()
        width, heads, eps = facts["embed_dim"], facts["num_heads"], facts["norm_eps"]
        self.heads, each = heads, width // heads
        self.qkv = nn.Linear(width, 3 * width, bias=facts["qkv_bias"])
        self.qk_norm, self.attn_norm = facts["qk_norm"], facts["attn_norm"]
        if self.qk_norm:
            self.q_norm, self.k_norm = nn.LayerNorm(each, eps), nn.LayerNorm(each, eps)
        if self.attn_norm:
            self.norm = nn.LayerNorm(width, eps)
        self.proj = nn.Linear(width, width)
        self.table_side = facts["rel_pos_grid"] if facts["rel_pos"] == "per_block" else 0
        self.formula = facts["pos_interpolation"]
        if self.table_side:
            self.relative_position_bias_table = bias_table(self.table_side, heads)
        self.bias_side = bias_side
        if bias_side:
            self.relative_bias = bias_table(bias_side, heads)
        self.decomposed = relative_side > 0
        if self.decomposed:
            self.rel_pos_h = nn.Parameter(torch.zeros(2 * relative_side - 1, each))
            self.rel_pos_w = nn.Parameter(torch.zeros(2 * relative_side - 1, each))

    def forward(self, x: Tensor, field: Field) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        if self.qk_norm:
            q, k = self.q_norm(q).to(v.dtype), self.k_norm(k).to(v.dtype)
        bias = self._bias(q, field)
        if field.turn is not None:
            q, k = (_turned(each, field.turn, field.prefix) for each in (q, k))
        x = F.scaled_dot_product_attention(q, k, v, None if bias is None else bias.to(q.dtype))
        x = x.transpose(1, 2).flatten(2)
        return self.proj(self.norm(x) if self.attn_norm else x)

    def _bias(self, query: Tensor, field: Field) -> Tensor | None:
        bias = field.bias
        if self.table_side and field.rows is not None:
            table = self.relative_position_bias_table
            bias = table_bias(table, self.table_side, field.grid, field.rows, self.formula)
        if self.bias_side and field.rows is not None:
            new = table_bias(self.relative_bias, self.bias_side, field.grid, field.rows, self.formula)
            bias = new if bias is None else bias + new
        if self.decomposed:
            patches = query[:, :, field.prefix :]
            relative = decomposed_bias(patches, self.rel_pos_h, self.rel_pos_w, field.grid)
            relative = F.pad(relative, (field.prefix, 0, field.prefix, 0))  # prefix tokens have no place
            bias = relative if bias is None else bias + relative
        return bias


def _turned(x: Tensor, turn: Turn, prefix: int) -> Tensor:
    """Turns the patches of (N, heads, prefix + places, d); N is a multiple of the windows, if any."""
    windows = turn.cos.shape[0] if turn.cos.ndim == 4 else 1
    patches = x[:, :, prefix:].unflatten(0, (-1, windows))
    return torch.cat([x[:, :, :prefix], turned(patches, turn).flatten(0, 1)], 2)
