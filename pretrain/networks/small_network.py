"""Defines a five-layer network for studies on a CPU (`--arch small_cnn`): minutes where a ResNet takes hours.

The network has the stages that the rest of the package expects of a ResNet. It is no detection backbone, and
the converters refuse to make one of it.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

CHANNELS = (32, 64, 128, 256, 256)


class SmallCNN(nn.Module):
    """Maps images Nx3xHxW to Nx`num_classes`; each stage halves the size (made for 32 pixels)."""

    def __init__(self, num_classes: int, norm_layer: Any = nn.BatchNorm2d) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, CHANNELS[0], 3, padding=1, bias=False)
        self.bn1 = norm_layer(CHANNELS[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity()
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                norm_layer(after),
                nn.ReLU(inplace=True),
            )
            for before, after in zip(CHANNELS, CHANNELS[1:], strict=False)
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(CHANNELS[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))
