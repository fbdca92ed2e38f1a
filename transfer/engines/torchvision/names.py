"""Parameter names: torchvision's inside the modules, Detectron2's in every file.

Only the ResNet blocks differ, because they are torchvision's own, and the DensePose head, which is one module
here and two there; all else already has Detectron2's names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

# (torchvision, Detectron2), each a whole dotted segment; the table read backwards is the inverse.
_SEGMENTS = (
    (r"\bbn(\d)\.", r"conv\1.norm."),
    (r"\bdownsample\.0\.", "shortcut."),
    (r"\bdownsample\.1\.", "shortcut.norm."),
    (r"\bdensepose\.(head|predictor)\.", r"densepose_\1."),
)
_INVERSE = (
    (r"\bconv(\d)\.norm\.", r"bn\1."),
    (r"\bshortcut\.norm\.", "downsample.1."),
    (r"\bshortcut\.", "downsample.0."),
    (r"\bdensepose_(head|predictor)\.", r"densepose.\1."),
)


def detectron2_name(name: str) -> str:
    """`backbone.res2.0.bn1.weight` -> `backbone.res2.0.conv1.norm.weight`."""
    for pattern, replacement in _SEGMENTS:
        name = re.sub(pattern, replacement, name)
    return name


def torchvision_name(name: str) -> str:
    """The inverse of `detectron2_name`."""
    for pattern, replacement in _INVERSE:
        name = re.sub(pattern, replacement, name)
    return name


def model_state(model: nn.Module) -> dict[str, Tensor]:
    """The model's own tensors (not copies) under Detectron2's names."""
    return {detectron2_name(name): tensor for name, tensor in model.state_dict().items()}


def load_model_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Strict loading of a state dict with Detectron2's names."""
    model.load_state_dict({torchvision_name(name): tensor for name, tensor in state.items()})
