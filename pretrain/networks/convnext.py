"""Makes ConvNeXts that learn: torchvision's, without its layer of classes."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

from pretrain.networks.convnext_sizes import parse_convnext


class ConvNextEncoder(ConvNeXt):
    """A ConvNeXt that gives pooled features behind the final norm: images Nx3xHxW to Nx`width`.

    A head `fc` may stand behind them. Names of all else are torchvision's. It has no BatchNorm, so there are
    no statistics of a batch to share or to shuffle.
    """

    def __init__(self, blocks: tuple[int, ...], first: int) -> None:
        widths = [first * 2**stage for stage in range(len(blocks))]
        following = [after for _, after in pairwise(widths)] + [None]
        super().__init__([CNBlockConfig(*stage) for stage in zip(widths, following, blocks, strict=True)])
        self.width = widths[-1]
        norm, flatten, _ = self.get_submodule("classifier").children()
        self.classifier = nn.Sequential(norm, flatten)
        self.fc: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pooled(x))

    def pooled(self, x: Tensor) -> Tensor:
        """The features before the head, Nx`width`."""
        return self.classifier(self.avgpool(self.features(x)))


def make_convnext(arch: str) -> ConvNextEncoder:
    """A freshly initialised encoder, without skipped blocks. Raises PretrainError for an unknown name."""
    return ConvNextEncoder(*parse_convnext(arch))
