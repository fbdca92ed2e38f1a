"""Joins a convolution, its norm and its ReLU under one name, and fills weights, both as Detectron2 does."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transfer.engines.norms import norm_layer


class NormConv2d(nn.Conv2d):
    """(N, C, H, W) -> convolution, `norm` ("": none, then the convolution has a bias), ReLU if asked."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        norm: str = "",
        relu: bool = False,
        dilation: int = 1,
    ):
        padding = dilation * (kernel_size // 2)
        super().__init__(
            in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=norm == ""
        )
        self.norm = norm_layer(norm)(out_channels) if norm else None
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        if self.norm is not None:
            x = self.norm(x)
        return F.relu(x) if self.relu else x


def spatial_mean(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C), with a gradient in channels_last, which that of `x.mean((2, 3))` is not."""
    return x.permute(0, 2, 3, 1).flatten(1, 2).mean(dim=1)


def rows_of(x: Tensor, index: Tensor) -> Tensor:
    """x[index] for (N, C, H, W) and indices (R,), in channels_last forwards and backwards."""
    return x.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)


class _ChannelsLastGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        return grad.contiguous(memory_format=torch.channels_last)


def channels_last_gradient(x: Tensor) -> Tensor:
    """The same tensor; its gradient in channels_last, where what is behind it gives the other layout.

    Otherwise the gradient meets layers of the other layout all the way down, and their slow paths.
    """
    found: Tensor = _ChannelsLastGradient.apply(x)
    return found


def scaled_gradient(x: Tensor, share: float) -> Tensor:
    """The same tensor; behind it only that share of the gradient arrives."""
    if x.requires_grad:
        x.register_hook(lambda gradient: gradient * share)
    return x


def xavier_fill(layer: nn.Conv2d | nn.Linear) -> None:
    """Caffe2's XavierFill, U(+-sqrt(3 / fan_in)), for the pyramid and fully connected layers."""
    nn.init.kaiming_uniform_(layer.weight, a=1)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def msra_fill(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Caffe2's MSRAFill, for convolutions with ReLU behind them: N(0, 2 / fan_out)."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
