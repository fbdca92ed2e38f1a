"""Builds the frozen network of a recipe and pools its last maps to one feature an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

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

GEM = 3.0
Net = TypeVar("Net", bound="Frozen")


def build(
    cfg: CfgNode,
    backbone: Backbone | None,
    seed: int,
    label: str,
    kind: Callable[[CfgNode], Net] | None = None,
) -> tuple[Net, LoadReport]:
    """The network of a resolved recipe with the weights of `backbone`, or drawn by the seed; and its account.

    kind: what is made of it, `Frozen` by default. TransferError where a tensor of the network is not in the
    file, or one of the file not in the network.
    """
    flat = flatten(cfg)
    cfg = cfg.clone()
    cfg.merge_from_list(
        [x for pair in settled(flat, architecture_of(flat).family.name).items() for x in pair]
    )
    seed_torch(seed, INIT)
    net: Any = (kind or Frozen)(cfg)
    state = model_state(net)
    if backbone is None:
        account = random_report(state, cfg)
    else:
        account = load_backbone_into(state, backbone, cfg, label)
    if architecture_of(flat).family is RESNET:  # of code of a user's nothing is known but its maps
        fold_norms(net)
    return net.to(memory_format=torch.channels_last), account


class Frozen(nn.Module):
    """(N, S, S, 3) uint8 RGB -> (N, D) float32 features, one row an image; never in training mode.

    pool: `published` is the feature that the family's authors evaluate: the mean of a ResNet's last map, the
    class token behind the final norm of a ViT (the mean of its patches where it has none), the normed mean
    of a ConvNeXt, the mean of a Swin's normed patches. `class_or_gem` is of retrieval: the class token, and
    where there is none the generalised mean of GEM. `mean`, `class` and `class+mean` are of ViTs.
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
        return self.pooled(self.pixels(images)).flatten(1).float()

    def pixels(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) as the backbone takes them, channels last, without a copy."""
        pixels = images.flip(-1) if self.flip else images
        return ((pixels.to(self.mean.dtype) - self.mean) / self.std).permute(0, 3, 1, 2)


def last_map(net: Any) -> str:
    """The name of the map of the largest stride, the last of such."""
    return max(reversed(list(net.strides)), key=net.strides.__getitem__)


def _over_map(pool: str) -> Callable[[Tensor], Tensor]:
    """Gives the function that makes one number of each channel of a map (N, C, H, W)."""
    if pool == "class_or_gem":
        return lambda x: generalised_mean(x.flatten(2).transpose(1, 2))
    return lambda x: x.mean((2, 3))


def generalised_mean(places: Tensor) -> Tensor:
    """(N, places, C) -> (N, C): the GEM-th root of the mean GEM-th power (Radenovic et al. 2018), p = 3."""
    return places.float().clamp(min=1e-6).pow(GEM).mean(1).pow(1 / GEM)


def _mean(net: Any, pool: str) -> Callable[[Tensor], Tensor]:
    last, over = last_map(net), _over_map(pool)
    return lambda x: over(net(x)[last])


def _vit(net: Any, pool: str) -> Callable[[Tensor], Tensor]:
    has_class = net.facts["class_token"]
    without = {"published": "mean", "class_or_gem": "gem"}
    pool = ("class" if has_class else without[pool]) if pool in without else pool
    if "class" in pool and not has_class:
        raise TransferError(f"FEATURES.POOL is {pool!r}, and the weights have no class token; choose 'mean'")

    def pooled(x: Tensor) -> Tensor:
        tokens = net.tokens(x)
        patches = tokens[:, net.prefix :]
        if pool == "gem":
            return generalised_mean(patches)
        means = {"mean": patches.mean(1), "class": tokens[:, 0]}
        return torch.cat([means[name] for name in pool.split("+")], 1)

    return pooled


def _convnext(net: Any, pool: str) -> Callable[[Tensor], Tensor]:
    (last,), over = net.channels, _over_map(pool)
    norm, net.norm_last = net.norm if net.norm_last else nn.Identity(), False  # it stands behind the mean
    return lambda x: norm(over(net(x)[last]))


_POOLED: dict[str, Callable[[Any, str], Callable[[Tensor], Tensor]]] = {
    RESNET.name: _mean,
    OWN.name: _mean,
    VIT.name: _vit,
    CONVNEXT.name: _convnext,
    SWIN.name: _mean,  # its norm stands before the mean
}
