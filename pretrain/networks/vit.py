"""Makes vision transformers that learn: those of `converters.models`, begun as their publishers do it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from converters.models.sincos import sincos_mae, sincos_moco
from converters.models.vit import ViT
from converters.models.vit_plain import PLAIN
from pretrain.errors import PretrainError
from pretrain.networks.vit_sizes import VitKind, heads_of, parse_vit, require_whole_patches

SINCOS = {"mae": sincos_mae, "moco_v3": sincos_moco}  # how weights begin -> the fixed positions


class VitEncoder(ViT):
    """A ViT that gives its class token behind the final norm: images Nx3xHxW to features NxD."""

    def forward(  # type: ignore[override]  # the maps of its class are for dense tasks
        self,
        x: Tensor,
        *,
        pooled: bool = True,
        hidden: Tensor | None = None,
        mask_token: Tensor | None = None,
        kept: Tensor | None = None,
    ) -> Tensor:
        """All tokens instead, Nx(1 + L)xD with the class token first, where `pooled` does not hold.

        hidden: patches that are replaced by `mask_token` (1xD) before they get positions, bool Nxhxw
        kept: numbers of the only patches that are passed on, int64 NxK; they come in this order

        Raises PretrainError where a side is no multiple of the patch.
        """
        require_whole_patches(x.shape[-1], self.facts["patch_size"])
        patches = self.patch_embed(x)
        if hidden is not None and mask_token is not None:
            patches = torch.where(hidden[:, None], mask_token.to(patches.dtype)[..., None, None], patches)
        tokens, grid = self._placed(patches)
        if kept is not None:
            visible = tokens[:, 1:].gather(1, kept[..., None].expand(-1, -1, tokens.shape[2]))
            tokens = torch.cat([tokens[:, :1], visible], 1)
        last = len(self.blocks) - 1
        tokens = self.norm(self._through(tokens, grid, last)[last])
        return tokens[:, 0] if pooled else tokens


def make_vit(arch: str, image_size: int, kind: VitKind, drop_path: float = 0.0) -> VitEncoder:
    """A freshly initialised encoder with positions for images of `image_size` pixels.

    drop_path: the chance that an image skips the last block, smaller before. Raises PretrainError where
    the width is no multiple of the heads.
    """
    width, depth, patch = parse_vit(arch)
    heads = heads_of(arch, kind)
    if width % heads:
        raise PretrainError(f"--arch {arch}: its width of {width} has no {heads} heads; take another size")
    facts = {
        "embed_dim": width,
        "depth": depth,
        "mlp_dim": 4 * width,
        "patch_size": patch,
        "num_heads": heads,
        "pos_tokens": (image_size // patch) ** 2 + 1,
        "pos_interpolation": kind.interpolation,
    }
    encoder = VitEncoder({**PLAIN, **facts}, norm_taps=True, drop_path=drop_path)
    begin(encoder, kind.begin)
    return encoder


@torch.no_grad()
def begin(encoder: VitEncoder, how: str) -> None:
    """Draws the weights: from N(0, 0.02) (`ViT` has done so), or as MAE or MoCo v3, whose positions rest.

    MoCo v3 takes queries, keys and values for three layers, and its class token begins near zero.
    """
    if how not in SINCOS:
        return
    xavier(encoder, separate=how == "moco_v3")
    patches = encoder.patch_embed.proj
    nn.init.xavier_uniform_(patches.weight.flatten(1))
    if how == "moco_v3" and patches.bias is not None:
        nn.init.zeros_(patches.bias)
    nn.init.normal_(encoder.cls_token, std=1e-6 if how == "moco_v3" else 0.02)
    side = round((encoder.facts["pos_tokens"] - 1) ** 0.5)
    fixed_positions(encoder.pos_embed, SINCOS[how](side, encoder.facts["embed_dim"]))


@torch.no_grad()
def fixed_positions(positions: nn.Parameter, table: np.ndarray) -> None:
    """Fills 1x(1 + L)xD by a table LxD, and zeros for the class token; they do not learn."""
    positions.zero_()
    positions[0, 1:] = torch.from_numpy(table)
    positions.requires_grad_(False)


def xavier(module: nn.Module, *, separate: bool = False) -> None:
    """Draws linear layers by Glorot's uniform law, biases 0; `separate` takes `qkv` for three layers."""
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear):
            for rows in part.weight.chunk(3 if separate and name.endswith("qkv") else 1):
                nn.init.xavier_uniform_(rows)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
