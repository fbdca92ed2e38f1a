"""A residual network small enough for hundreds of training steps in a test."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from torch import Tensor, nn
from torchvision.models._api import register_model
from torchvision.models.resnet import BasicBlock, ResNet

from pretrain.networks.encoders import pooled_features
from pretrain.networks.split_bn import SplitBatchNorm2d


def tiny_resnet(num_classes: int = 16, groups: int = 1) -> nn.Module:
    """One block a stage; the class that the published code is given, and with `groups` its split twin."""
    norm = partial(SplitBatchNorm2d, groups=groups) if groups > 1 else None
    return ResNet(BasicBlock, [1, 1, 1, 1], num_classes=num_classes, norm_layer=norm)


class Miniature(nn.Module):
    """Names and stages of a torchvision ResNet with 8 channels; it is saved in milliseconds."""

    def __init__(self, num_classes: int, norm_layer: Any = nn.BatchNorm2d) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = norm_layer(8)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(2)
        for stage in range(1, 5):
            layers = [nn.Conv2d(8, 8, 3, padding=1, bias=False), norm_layer(8), nn.ReLU()]
            setattr(self, f"layer{stage}", nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(pooled_features(self, x))


@cache  # torchvision refuses a second registration
def register_miniature() -> None:
    """Makes `--arch resnet_miniature` known, as any model that torchvision lists."""

    def resnet_miniature(*, weights: None = None, num_classes: int = 16, **options: Any) -> Miniature:
        return Miniature(num_classes, **options)

    resnet_miniature.__module__ = "torchvision.models.resnet"  # where list_models looks
    register_model()(resnet_miniature)
