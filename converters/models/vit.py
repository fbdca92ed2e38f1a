"""Computes Vision Transformers of every publisher's kind, on images of any size.

The facts of the manifest say what the network has; the options say how a task uses it. timm's and the
publishers' classes and Detectron2's ViT are the oracles of its tests. It is not composed of timm's classes,
because the file's tensors would go by five sets of names, and none of them has windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from converters.models.attention import Field, Table, bias_table
from converters.models.block import Block
from converters.models.positions import absolute, pairs, table_bias
from converters.models.rope import Turn, turn
from converters.models.vit_facts import check, check_options
from converters.models.windows import Grid, padded, to_windows

RELATIVE = ("blocks.*.attn.rel_pos_h", "blocks.*.attn.rel_pos_w")
BIAS = ("blocks.*.attn.relative_bias",)
SHARED = ("window_bias", "global_bias")


class Patches(nn.Module):
    """Patch embedding: (N, 3, H, W) -> (N, D, H/patch, W/patch)."""

    def __init__(self, width: int, patch: int):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


class ViT(nn.Module):
    """(N, 3, H, W) -> {"tap1": (N, D, H/patch, W/patch), ...}, the outputs of the blocks `taps`.

    An image whose sides are no multiples of the patch is padded with zeros on the right and below, as
    Detectron2's ImageList does; maps then have the sides rounded up. `strides` is the patch, 14 as well.

    taps: numbers of blocks, negative ones from the end; later blocks do not run. norm_taps: the final norm on
    each. window: side of the windows, in patches; 0 for none. global_blocks: those without windows.
    rel_pos_tokens: side, in patches, of the square map for which Detectron2's relative positions are made,
    which start at zero; 0 for none. rel_bias_tokens: the same of tables of BEiT's kind, one a block, as MAE
    was fine-tuned; not made where attention has places or registers of its own already. rel_bias_shared: one
    table for all blocks in windows, of their side, and one for all others (Li et al., arXiv 2111.11429).
    drop_path: the chance of the last block, smaller before. checkpointing: blocks are computed again in the
    backward pass.
    prefix_tokens: whether class token and registers take part. As it is (None), they do but for networks in
    windows without registers, because ViTDet has none. Whatever does not reach a tap takes no gradient.

    ValueError for facts and options that make no network.
    """

    # parameters: each is a choice of a recipe, and a key of it
    def __init__(
        self,
        facts: Mapping[str, Any],
        *,
        taps: Sequence[int] = (-1,),
        norm_taps: bool = False,
        window: int = 0,
        global_blocks: Sequence[int] = (),
        rel_pos_tokens: int = 0,
        rel_bias_tokens: int = 0,
        rel_bias_shared: bool = False,
        drop_path: float = 0.0,
        checkpointing: bool = False,
        prefix_tokens: bool | None = None,
    ):
        super().__init__()
        check(facts)
        width, depth, patch = facts["embed_dim"], facts["depth"], facts["patch_size"]
        check_options(facts, taps, norm_taps, global_blocks)
        self.facts, self.window, self.checkpointing = dict(facts), window, checkpointing
        self.taps = [number % depth for number in taps]
        self.norm_taps = norm_taps
        names = [f"tap{number}" for number in range(1, len(taps) + 1)]
        self.strides, self.channels = dict.fromkeys(names, patch), dict.fromkeys(names, width)
        self.size_divisibility = patch
        placed = facts["rel_pos"] or facts["rope"] or facts["registers"]
        tables = 0 if placed else rel_bias_tokens
        self.bias_side = 0 if rel_bias_shared else tables
        kept = not window or facts["registers"] > 0 if prefix_tokens is None else prefix_tokens
        self.prefix = facts["class_token"] + facts["registers"] if kept else 0
        if facts["class_token"]:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        if facts["registers"]:
            self.register_tokens = nn.Parameter(torch.zeros(1, facts["registers"], width))
        if facts["pos_tokens"]:
            self.pos_embed = nn.Parameter(torch.zeros(1, facts["pos_tokens"], width))
        self.patch_embed = Patches(width, patch)
        norm = partial(nn.LayerNorm, width, facts["norm_eps"])
        if facts["pre_norm"]:
            self.norm_pre = norm()
        if facts["rel_pos"] == "shared":
            self.rel_pos_bias = Table(facts["rel_pos_grid"], facts["num_heads"])
        everywhere = {number % depth for number in global_blocks}
        windows = [0 if number in everywhere else window for number in range(depth)]
        rates = [drop_path * number / max(depth - 1, 1) for number in range(depth)]
        self.blocks = nn.ModuleList(
            Block(facts, side, rel_pos_tokens, rate, self.bias_side)
            for side, rate in zip(windows, rates, strict=True)
        )
        if facts["final_norm"]:
            self.norm = norm()
        self.shared_sides = self._share(tables if rel_bias_shared else 0, windows[: max(self.taps) + 1])
        bias = BIAS if self.bias_side else tuple(self.shared_sides)
        self.fresh = (*(RELATIVE if rel_pos_tokens else ()), *bias)
        initialise(self)
        self._freeze_what_is_not_used()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found, grid = self._run(x, max(self.taps))
        maps = {}
        for name, number in zip(self.strides, self.taps, strict=True):
            y = found[number][:, self.prefix :]
            y = self.norm(y) if self.norm_taps else y
            maps[name] = y.transpose(1, 2).unflatten(2, grid)
        return maps

    def tokens(self, x: Tensor) -> Tensor:
        """(N, prefix + H/patch * W/patch, D) behind the last block and the final norm, if there is one.

        Class token first, then the registers, then the patches row by row.
        """
        last = len(self.blocks) - 1
        y = self._run(x, last)[0][last]
        return self.norm(y) if self.facts["final_norm"] else y

    def _run(self, x: Tensor, last: int) -> tuple[dict[int, Tensor], Grid]:
        """The outputs of the blocks up to `last`, by number, and the grid of the map."""
        x, grid = self._embed(x)
        return self._through(x, grid, last), grid

    def _through(self, x: Tensor, grid: Grid, last: int) -> dict[int, Tensor]:
        """The same of tokens (N, prefix + L, D): of a whole map, or of a part if no block needs places."""
        seen, (in_windows, elsewhere) = (self.window, self.window), SHARED
        whole = self._field(grid, grid, x.device, elsewhere)
        window = self._field(seen, grid, x.device, in_windows) if self.window else whole
        found = {}
        for number, block in enumerate(self.blocks[: last + 1]):
            field = window if block.window else whole
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, field, grid, use_reentrant=False)
            else:
                x = block(x, field, grid)
            if number in (*self.taps, last):
                found[number] = x
        return found

    def _embed(self, x: Tensor) -> tuple[Tensor, Grid]:
        patch = self.facts["patch_size"]
        return self._placed(self.patch_embed(F.pad(x, (0, -x.shape[-1] % patch, 0, -x.shape[-2] % patch))))

    def _placed(self, x: Tensor) -> tuple[Tensor, Grid]:
        """Embedded patches (N, D, H, W) -> tokens with their positions, behind the prefix, and the grid."""
        facts, grid = self.facts, (x.shape[-2], x.shape[-1])
        x = x.flatten(2).transpose(1, 2)
        tokens = []
        if facts["pos_tokens"]:
            places = self.pos_embed[:, facts["pos_prefix"] :]
            x = x + absolute(places, grid, facts["pos_interpolation"])
        if self.prefix:
            if facts["class_token"]:
                first = self.pos_embed[:, :1] if facts["pos_prefix"] else 0
                tokens.append(self.cls_token + first)
            if facts["registers"]:
                tokens.append(self.register_tokens)
        x = torch.cat([*(t.expand(len(x), -1, -1).to(x.dtype) for t in tokens), x], 1)
        return self.norm_pre(x) if facts["pre_norm"] else x, grid

    def _share(self, tokens: int, windows: Sequence[int]) -> dict[str, int]:
        """Makes the tables of zeros that blocks with these windows share; returns their sides by name."""
        asked = dict(zip(SHARED, (max(windows), tokens if 0 in windows else 0), strict=True))
        sides = {name: side for name, side in asked.items() if tokens and side}
        for name, side in sides.items():
            self.register_parameter(name, bias_table(side, self.facts["num_heads"]))
        return sides

    def _field(self, seen: Grid, grid: Grid, device: torch.device, shared: str) -> Field:
        """The view of an attention: the whole map, where `seen` is `grid`, or a window of it.

        shared: the name of the new table that blocks with this view share, if there is one.
        """
        facts, bias = self.facts, None
        tables = facts["rel_pos"] or self.bias_side or shared in self.shared_sides
        rows = pairs(seen, self.prefix > 0, device) if tables else None
        one = facts["rel_pos"] == "shared"
        if rows is not None and (one or shared in self.shared_sides):
            table = self.rel_pos_bias.relative_position_bias_table if one else getattr(self, shared)
            side = facts["rel_pos_grid"] if one else self.shared_sides[shared]
            bias, rows = table_bias(table, side, seen, rows, facts["pos_interpolation"]), None
        return Field(seen, self.prefix, self._turn(seen, grid, device), bias, rows)

    def _turn(self, seen: Grid, grid: Grid, device: torch.device) -> Turn | None:
        """EVA-02 places patches in their window, as its detector does; DINOv3 always in the whole map."""
        kind, width = self.facts["rope"], self.facts["embed_dim"] // self.facts["num_heads"]
        if not kind:
            return None
        if kind == "eva02" or seen == grid:
            return turn(kind, width, self.facts["rope_base"], seen, seen, device)
        size = padded(grid, self.window)
        whole = turn(kind, width, self.facts["rope_base"], grid, size, device)
        cos, sin = (
            to_windows(t.unflatten(0, size)[None], self.window)[:, None] for t in (whole.cos, whole.sin)
        )
        return Turn(cos, sin, whole.pairs)

    def _freeze_what_is_not_used(self) -> None:
        """Takes the gradient from whatever no tap depends on: a reducer of gradients would wait for it."""
        unused = [*self.blocks[max(self.taps) + 1 :]]
        if self.facts["final_norm"] and not self.norm_taps:
            unused.append(self.norm)
        for module in unused:
            module.requires_grad_(False)
        if not self.prefix:
            for name in ("cls_token", "register_tokens"):
                if hasattr(self, name):
                    getattr(self, name).requires_grad_(False)


def initialise(module: nn.Module) -> None:
    """Fills linear layers and positions from N(0, 0.02) cut at 2, as MAE, BEiT and Detectron2's ViT do.

    Layer scale starts at 1, so that a random network is one without it; relative positions start at 0.
    """
    for child in module.modules():
        if isinstance(child, nn.Linear):
            nn.init.trunc_normal_(child.weight, std=0.02)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
    for name in ("cls_token", "register_tokens", "pos_embed"):
        if hasattr(module, name):
            nn.init.trunc_normal_(getattr(module, name), std=0.02)
