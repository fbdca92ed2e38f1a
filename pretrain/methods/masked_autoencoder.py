"""Trains a vision transformer by the pixels of patches that it does not see (MAE, arXiv 2111.06377)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from converters.models.attention import Field
from converters.models.block import Block
from converters.models.sincos import sincos_mae
from converters.models.vit_plain import PLAIN
from pretrain.images.draws import Views
from pretrain.images.sources import ImageSet
from pretrain.methods.base import EncoderFactory, Method, Step
from pretrain.methods.parts import full_precision
from pretrain.methods.rows.mae import Mae
from pretrain.networks.vit import VitEncoder, fixed_positions, xavier
from pretrain.process import distributed


class Decoder(nn.Module):
    """Tells the pixels of all patches: tokens Nx(1 + K)xD of the visible ones to NxLxP (section 3)."""

    def __init__(self, row: Mae, encoder: VitEncoder) -> None:
        super().__init__()
        facts, width = encoder.facts, row.decoder_width
        places = facts["pos_tokens"]
        self.grid = (round((places - 1) ** 0.5),) * 2
        self.embed = nn.Linear(facts["embed_dim"], width)
        self.pos_embed = nn.Parameter(torch.empty(1, places, width))
        own = {**PLAIN, "embed_dim": width, "mlp_dim": 4 * width, "num_heads": row.decoder_heads}
        own["pos_interpolation"] = facts["pos_interpolation"]
        self.blocks = nn.ModuleList(Block(own, 0, 0, 0.0) for _ in range(row.decoder_depth))
        self.norm = nn.LayerNorm(width, facts["norm_eps"])
        self.pred = nn.Linear(width, 3 * facts["patch_size"] ** 2)
        xavier(self)
        fixed_positions(self.pos_embed, sincos_mae(self.grid[0], width))

    def forward(self, tokens: Tensor, mask_token: Tensor, order: Tensor) -> Tensor:
        """order: int64 NxL, the patches' numbers, the K visible ones first as `tokens` has them."""
        x = self.embed(tokens)
        missing = order.shape[1] + 1 - x.shape[1]
        patches = torch.cat([x[:, 1:], mask_token.to(x.dtype).expand(len(x), missing, -1)], 1)
        back = order.argsort(1)[..., None].expand_as(patches)
        x = torch.cat([x[:, :1], patches.gather(1, back)], 1) + self.pos_embed
        field = Field(self.grid, 1, None, None, None)
        for block in self.blocks:
            x = block(x, field, self.grid)
        return self.pred(self.norm(x))[:, 1:]


class MaskedAutoencoder(Method[Mae]):
    """An encoder of visible patches, and a light decoder, which is thrown away."""

    encoder_name = "backbone"
    key_encoder_name = "target_backbone"  # which it has not

    def __init__(self, row: Mae, make_encoder: EncoderFactory) -> None:
        super().__init__()
        self.row = row
        encoder = make_encoder(dim=1, **row.encoder_options(slow=False))()
        if not isinstance(encoder, VitEncoder):
            raise TypeError("an encoder that leaves out patches is a VitEncoder")
        self.backbone = encoder
        self.kept = row.visible(encoder.facts["pos_tokens"] - 1)
        self.decoder = Decoder(row, encoder)
        self.mask_token = nn.Parameter(0.02 * torch.randn(1, 1, row.decoder_width))

    @classmethod
    def build(cls, options: Mae, make_encoder: EncoderFactory, images: ImageSet) -> MaskedAutoencoder:
        return cls(options, make_encoder)

    @classmethod
    def views(cls, options: Mae, image_size: int) -> tuple[Views, ...]:
        return options.sized_views(image_size)

    @classmethod
    def check(cls, options: Mae, images: ImageSet, batch_size: int, groups: int) -> None:
        options.check()

    def forward(
        self, views: list[Tensor], index: Tensor, rng: Generator, step: Step
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Masks an image by the run's seed, the step and the image's place in the batch of all processes."""
        (images,) = views
        patches = patches_of(images, self.backbone.facts["patch_size"])
        order = self.order(len(images), patches.shape[1], rng).to(images.device, non_blocking=True)
        tokens = self.backbone(images, pooled=False, kept=order[:, : self.kept])
        told = self.decoder(tokens, self.mask_token, order).to(images.dtype)
        with full_precision(images):
            target = normalised(patches) if self.row.norm_pixels else patches
            return error_of(told, target, order[:, self.kept :]), {}

    def order(self, images: int, patches: int, rng: Generator) -> Tensor:
        """Shuffles the patches of each image of this process, int64 NxL; the first ones are visible."""
        count = images * distributed.world_size()
        return torch.rand(count, patches, generator=rng)[distributed.my_slice(count)].argsort(1)


def patches_of(images: Tensor, patch: int) -> Tensor:
    """Cuts images Nx3xHxW into patches NxLxP, row by row; in a patch the channel is the last index."""
    cut = images.unfold(2, patch, patch).unfold(3, patch, patch)  # N x 3 x h x w x p x p
    return cut.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)


def normalised(patches: Tensor) -> Tensor:
    """Brings each patch NxLxP to mean 0 and deviation 1 (section 4.1, the second target)."""
    var, mean = torch.var_mean(patches, dim=2, keepdim=True)
    return (patches - mean) / (var + 1e-6).sqrt()


def error_of(told: Tensor, target: Tensor, hidden: Tensor) -> Tensor:
    """The mean squared error of patches NxLxP over the hidden ones alone, whose numbers are NxM."""
    return (told - target).square().mean(2).gather(1, hidden).mean()
