"""Makes backbones of small ViTs, and what timm's classes make of the same weights."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn

from converters.backbone import Backbone
from converters.certify.features import Reference
from converters.certify.function import NORM, taps
from converters.certify.images import Size, image
from tests.converters.models.vit_cases import facts, renamed, timm_model, trained

SIZES = ((56, 56), (48, 72), (80, 64))
ORIGIN = {
    "source": "timm_vit",
    "source_file": "file.pth",
    "source_sha256": "0" * 64,
    "container_path": "",
    "prefix": "",
    "encoder": "single",
    "dialect": "timm",
    "input_format": "RGB",
    "pixel_mean": [123.675, 116.28, 103.53],
    "pixel_std": [58.395, 57.12, 57.375],
    "tool_version": "1",
    "notes": [],
}


def backbone(model: nn.Module, known: dict[str, Any]) -> Backbone:
    """The tensors of timm's model under our names, with these facts; CLIP's missing bias is zeros."""
    weights = {name: np.array(tensor.numpy()) for name, tensor in renamed(model.state_dict()).items()}
    weights.setdefault("patch_embed.proj.bias", np.zeros(known["embed_dim"], np.float32))
    return Backbone(weights, {**ORIGIN, **known, "num_tensors": len(weights)})


def reference(
    model: nn.Module, known: dict[str, Any], sizes: tuple[Size, ...] = SIZES, **stated: Any
) -> Reference:
    """The maps of timm's model on images of these sizes."""
    maps = []
    for size in sizes:
        fitted = deepcopy(model)
        if known["rel_pos"]:
            fitted.set_input_size(size)
        x = torch.from_numpy(image(size))
        with torch.no_grad():
            blocks = fitted.forward_intermediates(x, indices=taps(known), intermediates_only=True)
            found = {f"block {n}": each[0].numpy() for n, each in zip(taps(known), blocks, strict=True)}
            if known["final_norm"]:
                (last,) = fitted.forward_intermediates(x, indices=1, norm=True, intermediates_only=True)
                found[NORM] = last[0].numpy()
        maps.append(found)
    return Reference("timm's class", tuple(maps), **stated)


def both(kind: str, seed: int = 0) -> tuple[nn.Module, Backbone]:
    """timm's model of the kind, and the backbone with its weights."""
    model = trained(timm_model(kind), seed)
    return model, backbone(model, facts(kind))
