"""Implements MAE (arXiv 2111.06377): a quarter of the patches is seen, and the pixels of the others are told.

Official: facebookresearch/mae, `models_mae.py`, `main_pretrain.py` and the command of PRETRAIN.md (ViT-L).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pretrain.errors import PretrainError
from pretrain.methods.joint.layout import Layout
from pretrain.methods.joint.published import Published, option
from pretrain.methods.joint.spec import read_view
from pretrain.networks.vit_sizes import VitKind
from pretrain.optimizers.rows import PUBLISHED, Optimizer
from pretrain.options import positive, real


@dataclass(frozen=True)
class Mae(Published):
    title: ClassVar[str] = "mae"
    made_by: ClassVar[str] = "pretrain.methods.masked_autoencoder:MaskedAutoencoder"
    layout: ClassVar[Layout] = Layout(
        {"backbone": "model/", "decoder": "model/decoder_", "mask_token": "model/mask_token"}
    )
    published: ClassVar[dict[str, Any]] = {"arch": "vit_large_patch16", "batch_size": 4096, "epochs": 800}
    vit: ClassVar[VitKind | None] = VitKind("mae")

    optimizer: Optimizer = PUBLISHED["mae"]
    views: str = option("mae", "recipe of the view", read_view)
    mask_ratio: float = option(0.75, "share of patches that are not seen", real(0, 1, above=True, below=True))
    norm_pixels: bool = option(True, "pixels are told as deviations from the mean of their patch")
    decoder_width: int = option(512, "width of the decoder", positive)
    decoder_depth: int = option(8, "blocks of the decoder", positive)
    decoder_heads: int = option(16, "heads of the decoder", positive)

    def visible(self, patches: int) -> int:
        """The number of patches that are seen, of all. Raises PretrainError where it is none."""
        kept = int(patches * (1 - self.mask_ratio))
        if not kept:
            raise PretrainError(
                f"--mask-ratio {self.mask_ratio}: of {patches} patches none is seen; lower it"
            )
        return kept

    def check(self) -> None:
        """Raises PretrainError where the decoder's width has neither so many heads nor fixed positions."""
        if self.decoder_width % self.decoder_heads or self.decoder_width % 4:
            raise PretrainError(
                f"--decoder-width {self.decoder_width}: expected a multiple of 4 and of --decoder-heads "
                f"{self.decoder_heads}"
            )


VIT = Mae()
