"""Builds the frozen network of a recipe and pools its last maps to one feature an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from converters.backbone import Backbone
from transfer.engines.torchvision.backbones.build import build_backbone, names_in_module
from transfer.engines.torchvision.names import model_state
from transfer.errors import TransferError
from transfer.frozen.fold import fold_norms
from transfer.process.draws import INIT, seed_torch
from transfer.recipes.architectures import architecture_of
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.frozen import settled
from transfer.recipes.own import OWN
from transfer.recipes.resnet import RESNET
from transfer.recipes.resolve import flatten
from transfer.recipes.swin import SWIN
from transfer.recipes.vit import VIT
from transfer.training.load_backbone import LoadReport, load_backbone_into, random_report


def build(cfg: CfgNode, backbone: Backbone | None, seed: int, label: str) -> tuple[Frozen, LoadReport]:
    """The network of a resolved recipe with the weights of `backbone`, or drawn by the seed; and its account.

    TransferError where a tensor of the network is not in the file, or one of the file not in the network.
    """
    flat = flatten(cfg)
    cfg = cfg.clone()
    cfg.merge_from_list(
        [x for pair in settled(flat, architecture_of(flat).family.name).items() for x in pair]
    )
    seed_torch(seed, INIT)
    net = Frozen(cfg)
    state = model_state(net)
    if backbone is None:
        account = random_report(state, cfg)
    else:
        account = load_backbone_into(state, backbone, cfg, label)
    if architecture_of(flat).family is RESNET:  # of code of a user's nothing is known but its maps
        fold_norms(net)
    return net.to(memory_format=torch.channels_last), account  # type: ignore[call-overload]


class Frozen(nn.Module):
    """(N, S, S, 3) uint8 RGB -> (N, D) float32 features, one row an image; never in training mode.

    pool: `published` is the feature that the family's authors evaluate: the mean of a ResNet's last map, the
    class token behind the final norm of a ViT (the mean of its patches where it has none), the normed mean
    of a ConvNeXt, the mean of a Swin's normed patches. `mean`, `class` and `class+mean` are of ViTs.
    """

    mean: Tensor
    std: Tensor
    names: Any = ()  # see `transfer.engines.torchvision.names`

    def __init__(self, cfg: CfgNode):
        super().__init__()
        self.backbone: Any = build_backbone(cfg)
        self.names = names_in_module(cfg)
        self.pooled = _POOLED[architecture_of(flatten(cfg)).family.name](self.backbone, cfg.FEATURES.POOL)
        self.flip = cfg.INPUT.FORMAT == "BGR"
        self.register_buffer("mean", torch.tensor(cfg.MODEL.PIXEL_MEAN), persistent=False)
        self.register_buffer("std", torch.tensor(cfg.MODEL.PIXEL_STD), persistent=False)
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.flip(-1) if self.flip else images
        pixels = (pixels.to(self.mean.dtype) - self.mean) / self.std
        return self.pooled(pixels.permute(0, 3, 1, 2)).flatten(1).float()  # channels_last, without a copy


def _mean(net: Any, pool: str) -> Callable[[Tensor], Tensor]:
    """The mean of the map of the largest stride, the last of such."""
    last = max(reversed(list(net.strides)), key=net.strides.__getitem__)
    return lambda x: net(x)[last].mean((2, 3))


def _vit(net: Any, pool: str) -> Callable[[Tensor], Tensor]:
    has_class = net.facts["class_token"]
    pool = ("class" if has_class else "mean") if pool == "published" else pool
    if "class" in pool and not has_class:
        raise TransferError(f"FEATURES.POOL is {pool!r}, and the weights have no class token; choose 'mean'")

    def pooled(x: Tensor) -> Tensor:
        tokens = net.tokens(x)
        means = {"mean": tokens[:, net.prefix :].mean(1), "class": tokens[:, 0]}
        return torch.cat([means[name] for name in pool.split("+")], 1)

    return pooled


def _convnext(net: Any, pool: str) -> Callable[[Tensor], Tensor]:
    (last,) = net.channels
    norm, net.norm_last = net.norm if net.norm_last else nn.Identity(), False  # it stands behind the mean
    return lambda x: norm(net(x)[last].mean((2, 3)))


_POOLED: dict[str, Callable[[Any, str], Callable[[Tensor], Tensor]]] = {
    RESNET.name: _mean,
    OWN.name: _mean,
    VIT.name: _vit,
    CONVNEXT.name: _convnext,
    SWIN.name: _mean,  # its norm stands before the mean
}
