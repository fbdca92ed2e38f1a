"""Builds heads from their short texts: projectors, predictors, and the layer of prototypes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.methods.joint.spec import Layer, layers


def head(text: str, width: int, *, on_maps: bool = False) -> nn.Sequential:
    """Makes the layers of `text` (see `spec`) for inputs Nx`width`, which is what `w` means.

    `on_maps`: for inputs Nx`width`xHxW, each place of which goes through the layers, as 1x1 convolutions.
    """
    parts: list[nn.Module] = []
    described, first = layers(text), width
    for number, layer in enumerate(described):
        out = layer.width or first
        bias = bool(layer.bias)
        linear = nn.Conv2d(width, out, 1, bias=bias) if on_maps else nn.Linear(width, out, bias=bias)
        if layer.bias == "f" and linear.bias is not None:
            linear.bias.requires_grad_(False)
        parts += [linear, *_norm(layer, out, nn.BatchNorm2d if on_maps else nn.BatchNorm1d)]
        if number < len(described) - 1:
            parts.append(nn.GELU() if layer.activation == "gelu" else nn.ReLU(inplace=True))
        width = out
    return nn.Sequential(*parts)


def _norm(layer: Layer, width: int, kind: type[nn.BatchNorm1d] | type[nn.BatchNorm2d]) -> list[nn.Module]:
    if not layer.norm:
        return []
    norm = kind(width, affine=layer.norm != "bn0")
    if layer.norm == "bns":
        norm.bias.requires_grad_(False)
    return [norm]


class UnitLinear(nn.Module):
    """A linear layer of unit rows, by weight normalisation whose lengths stay 1, as DINO's last layer.

    Names are those that torch's older weight_norm gives: `weight_g` (Kx1) and `weight_v` (KxC).
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(count, 1), requires_grad=False)
        self.weight_v = nn.Parameter(nn.Linear(width, count, bias=False).weight.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        v = self.weight_v
        return F.linear(x, self.weight_g * v / torch.linalg.vector_norm(v, dim=1, keepdim=True))


def prototypes(kind: str, width: int, count: int) -> nn.Module:
    """The layer of `count` prototypes: unit rows by weight normalisation ("norm"), or a plain one."""
    return UnitLinear(width, count) if kind == "norm" else nn.Linear(width, count, bias=False)
