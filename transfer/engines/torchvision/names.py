"""Translates parameter names: torchvision's inside the modules, Detectron2's in every file.

Only a ResNet's blocks differ, which are torchvision's own, and the DensePose head, which is one module here
and two there; all else already has Detectron2's names. What a family renames is its model's alone: another
family may use the same words for other things.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from transfer.engines.torchvision.backbones import resnet

# (torchvision, Detectron2), whole dotted segments. Read backwards, in the same order, it is the inverse.
Names = tuple[tuple[str, str], ...]
_HEADS = (("densepose.head.", "densepose_head."), ("densepose.predictor.", "densepose_predictor."))


def detectron2_name(name: str, of_family: Names = resnet.NAMES) -> str:
    """Turns `backbone.stem.bn1.weight` into `backbone.stem.conv1.norm.weight`."""
    for ours, theirs in _words(name, of_family):
        name = _renamed(name, ours, theirs)
    return name


def torchvision_name(name: str, of_family: Names = resnet.NAMES) -> str:
    """Inverts `detectron2_name`."""
    for ours, theirs in _words(name, of_family):
        name = _renamed(name, theirs, ours)
    return name


def _words(name: str, of_family: Names) -> Names:
    """Returns what may be renamed: a `conv1.norm` of a box head is none of the backbone's."""
    return _HEADS if "_head." in name else (*of_family, *_HEADS)


def _of_family(model: nn.Module) -> Names:
    """Returns what the model's builder left on it."""
    found: Names = model.names  # type: ignore[assignment]
    return found


def _renamed(name: str, old: str, new: str) -> str:
    return f".{name}".replace(f".{old}", f".{new}")[1:]


def model_state(model: nn.Module) -> dict[str, Tensor]:
    """The model's own tensors (not copies) under Detectron2's names."""
    return {detectron2_name(name, _of_family(model)): tensor for name, tensor in model.state_dict().items()}


def load_model_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Loads a state dict with Detectron2's names, strictly."""
    model.load_state_dict({torchvision_name(name, _of_family(model)): t for name, t in state.items()})
