"""Computes the maps of a backbone by our own function, the one that the engines train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from converters.backbone import Backbone
from converters.certify import resnet
from converters.certify.images import Maps
from converters.errors import CheckpointError
from converters.networks.table import UNNAMED, family_of

if TYPE_CHECKING:
    pass

NORM = "norm"  # the last block's map behind the final norm


class Change(NamedTuple):
    """Another reading of the same weights: facts and options that differ, and what to call it."""

    title: str
    facts: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}
    flipped: bool = False  # the image's colours


AS_IS = Change("")


def taps(manifest: Mapping[str, Any]) -> list[int]:
    """Numbers of the blocks whose maps are compared: those that pyramids are built on, four at most."""
    depth = manifest["depth"]
    return sorted({(quarter * depth) // 4 - 1 for quarter in (1, 2, 3, 4)} - {-1})


class Function:
    """Our module with a backbone's weights; `maps` takes an image (1, 3, H, W) in RGB.

    CheckpointError where `change` asks for tensors that the weights do not have, or for no network.
    """

    def __init__(self, backbone: Backbone, change: Change = AS_IS):
        import torch

        manifest = {**backbone.manifest, **change.facts}
        self.is_vit = manifest.get("family") == "vit"
        self.flip = (manifest["input_format"] == "BGR") is not change.flipped
        if family_of(manifest) is UNNAMED:
            self.module: Any = resnet.stages_of(backbone)
            self.strides = {name: 4 << number for number, name in enumerate(resnet.STAGES)}
            return
        from converters.models.build import build

        numbers = taps(manifest) if self.is_vit else []
        options = {"taps": numbers} if self.is_vit else {}
        with torch.device("meta"):  # nothing is drawn that the weights replace
            self.module = build(manifest, **options, **change.options)
        wanted = self.module.state_dict()
        shapes = {name: array.shape for name, array in backbone.weights.items()}
        if other := [name for name, tensor in wanted.items() if shapes.get(name) != tuple(tensor.shape)]:
            raise CheckpointError(f"this reading needs {other[0]} as the weights do not have it")
        tensors = {name: torch.from_numpy(backbone.weights[name]) for name in wanted}
        self.module.load_state_dict(tensors, assign=True)
        self.module.eval()
        names = [f"block {number}" for number in numbers] or list(self.module.strides)
        self.names = dict(zip(self.module.strides, names, strict=True))
        self.strides = {self.names[name]: stride for name, stride in self.module.strides.items()}
        if self.is_vit and manifest["final_norm"]:
            self.strides[NORM] = self.strides[names[-1]]

    def maps(self, image: np.ndarray) -> Maps:
        """The maps of one image, as the names say."""
        import torch

        x = torch.from_numpy(np.ascontiguousarray(image[:, ::-1]) if self.flip else image)
        with torch.no_grad():
            if isinstance(self.module, torch.nn.ModuleList):
                return resnet.maps(self.module, x)
            found = {self.names[name]: each for name, each in self.module(x).items()}
            if NORM in self.strides:
                last = list(found.values())[-1]
                found[NORM] = self.module.norm(last.movedim(1, -1)).movedim(-1, 1)
        return {name: each[0].numpy() for name, each in found.items()}
