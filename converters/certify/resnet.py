"""Computes the maps of a ResNet by torchvision's own class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.backbone import Backbone
from converters.certify.images import Maps
from converters.errors import CheckpointError
from converters.output.export import as_torchvision, to_torchvision

if TYPE_CHECKING:
    from torch import nn

STAGES = ("res2", "res3", "res4", "res5")


def stages_of(backbone: Backbone) -> nn.ModuleList:
    """torchvision's own class: a stem, and four stages. CheckpointError for widths that it does not have."""
    import torch
    from torch import nn
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

    from converters.networks.resnet_shapes import BASIC, BLOCKS

    facts = backbone.manifest
    basic = facts["depth"] in BASIC
    expected = {"stem_out_channels": 64, "res2_out_channels": 64 if basic else 256}
    for key, value in expected.items():
        if facts[key] != value:
            raise CheckpointError(f"{key} {facts[key]}: the function here, torchvision's, has {value}")
    width = {} if basic else {"groups": facts["groups"], "width_per_group": facts["width_per_group"]}
    whole = ResNet(BasicBlock if basic else Bottleneck, list(BLOCKS[facts["depth"]]), **width)
    arrays = to_torchvision(as_torchvision(backbone))
    whole.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()}, strict=False)
    stem = nn.Sequential(whole.conv1, whole.bn1, whole.relu, whole.maxpool)
    return nn.ModuleList([stem, whole.layer1, whole.layer2, whole.layer3, whole.layer4]).eval()


def maps(parts: Any, x: Any) -> Maps:
    """The maps of the four stages for one image (1, 3, H, W)."""
    found = {}
    for name, part in zip(("", *STAGES), parts, strict=True):
        x = part(x)
        found[name] = x[0].numpy()
    del found[""]
    return found
