"""Computes the maps of a ResNet of any kind by the stem and the stages that the engines train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.backbone import Backbone
from converters.certify.images import Maps

if TYPE_CHECKING:
    from torch import nn

STAGES = ("res2", "res3", "res4", "res5")


def stages_of(backbone: Backbone) -> nn.ModuleList:
    """A stem and four stages with a backbone's weights, for images in its own channel order."""
    import torch
    from torch import nn

    from converters.models.resnet import NAMES, Shape, Stem, make_stage

    facts = backbone.manifest
    shape = Shape(
        facts["depth"],
        facts["groups"],
        facts["width_per_group"],
        facts["stem_out_channels"],
        facts["res2_out_channels"],
        facts["stride_in_1x1"],
        facts.get("stem") == "deep",
        facts.get("avg_down", False),
    )
    with torch.device("meta"):  # nothing is drawn that the weights replace
        stages = [make_stage(shape, number, nn.BatchNorm2d) for number in (2, 3, 4, 5)]
        parts = [Stem(shape.stem_out_channels, nn.BatchNorm2d, shape.deep_stem), *stages]
        whole = nn.ModuleDict(dict(zip(("stem", *STAGES), parts, strict=True)))
    state = {}
    for name, array in backbone.weights.items():
        for ours, theirs in NAMES:
            name = f".{name}".replace(f".{theirs}", f".{ours}")[1:]
        state[name] = torch.from_numpy(array)
    whole.load_state_dict(state, assign=True)
    return nn.ModuleList(parts).eval()


def maps(parts: Any, x: Any) -> Maps:
    """The maps of the four stages for one image (1, 3, H, W)."""
    found = {}
    for name, part in zip(("", *STAGES), parts, strict=True):
        x = part(x)
        found[name] = x[0].numpy()
    del found[""]
    return found
