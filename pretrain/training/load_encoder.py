"""Loads the finished encoder of a checkpoint, to be evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from pretrain.errors import PretrainError
from pretrain.methods.base import Method
from pretrain.methods.choose import METHODS, method_class
from pretrain.networks.convnext_sizes import is_convnext
from pretrain.networks.encoders import add_mlp_head, make_encoder_factory
from pretrain.networks.vit_sizes import is_vit, parse_vit
from pretrain.training import checkpoint

# The tensor that every network of a kind has; others have a ResNet's.
FIRST = ((is_vit, "pos_embed"), (is_convnext, "features.0.0.weight"))


def load_encoder(path: Path, device: torch.device, key: bool = False) -> tuple[nn.Module, str]:
    """The encoder that the checkpoint's method evaluates, in evaluation mode, and its arch.

    `key` takes the key encoder instead. Raises PretrainError where the file is no checkpoint, or its arch and
    its tensors disagree.
    """
    contents = checkpoint.load(path)
    row = checkpoint.recorded_row(contents["identity"])
    prefix = f"{checkpoint.PREFIX}{_name(contents['identity'], key)}."
    stored = {n.removeprefix(prefix): v for n, v in contents["state_dict"].items() if n.startswith(prefix)}
    if key and not stored and any(_name(contents["identity"], False) in n for n in contents["state_dict"]):
        raise PretrainError(
            f"{path}: holds no {prefix}* tensors, which --key-encoder takes; its method has no such encoder, "
            "or the file was made without it: leave out --key-encoder"
        )
    arch = str(contents.get("arch", "resnet50"))
    first = next((name for named, name in FIRST if named(arch)), "conv1.weight")
    if not stored or first not in stored:
        raise PretrainError(f"{path}: holds no {prefix}* tensors; expected a checkpoint of pretrain")
    mlp = "fc.2.weight" in stored
    head = "fc.2.weight" if mlp else "fc.weight"
    if head not in stored and row is None:
        raise PretrainError(f"{path}: holds no {prefix}{head}; expected a checkpoint of pretrain")
    dim = len(stored[head]) if head in stored else 1
    encoder = make_encoder_factory(arch, dim=dim, **_recorded(contents["identity"], row, arch, stored))()
    if mlp:
        add_mlp_head(encoder)
    if row:  # its head is a part of its own, which is not evaluated
        encoder.fc = nn.Identity()
    try:
        encoder.load_state_dict(stored)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise PretrainError(f"{path}: its tensors do not fit its arch {arch} ({reason})") from None
    return encoder.to(device).to(memory_format=torch.channels_last).eval(), arch


def _recorded(identity: dict[str, Any], row: Any, arch: str, stored: dict[str, Any]) -> dict[str, Any]:
    """The options of the encoder that the file records, or that show in its tensors."""
    if is_vit(arch):
        width, _, patch = parse_vit(arch)
        side = round(max(0, stored["pos_embed"].numel() // width - 1) ** 0.5)
        return {"vit": row.vit if row else None, "image_size": side * patch}
    if is_convnext(arch):
        return {}
    return {"small_images": bool(identity.get("small_images", stored["conv1.weight"].shape[-1] == 3))}


def _name(identity: dict[str, Any], key: bool) -> str:
    """The encoder's name in the method that made the file; the published one where no method is recorded."""
    if row := checkpoint.recorded_row(identity):
        return row.other_encoder if key else row.evaluated
    mechanism = str(identity.get("mechanism"))
    made_by = method_class(mechanism) if mechanism in METHODS else Method
    return made_by.key_encoder_name if key else made_by.encoder_name
