"""Small ConvNeXts and Swins with trained-looking weights: publishers' classes, or files by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from converters.containers.tensors import StoredTensor
from converters.networks.convnext import CONVNEXT
from converters.networks.swin import SWIN

State = dict[str, Tensor]
V1 = {"layer_scale": True, "grn": False}
V2 = {"layer_scale": False, "grn": True}
CONV: dict[str, Any] = {
    "family": "convnext",
    "depths": [1, 2, 3, 1],
    "dims": [8, 16, 24, 40],
    "final_norm": True,
    "norm_eps": 1e-6,
}
SHIFTED: dict[str, Any] = {
    "family": "swin",
    "embed_dim": 8,
    "depths": [2, 2, 4, 2],
    "num_heads": [1, 2, 4, 8],
    "window": [4, 4, 4, 4],
    "patch_size": 4,
    "absolute_positions": 0,
    "patch_norm": True,
    "final_norm": True,
    "norm_eps": 1e-5,
}


def trained(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module with every parameter drawn: none is at its initial value, none zero."""
    draws = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=draws)
        centre = float(parameter.ndim == 1 and name.endswith("weight") or "gamma" in name)
        spread = 0.2 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
        parameter.data = centre + spread * noise
    return module.eval()


def ours(facts: Mapping[str, Any], seed: int = 0) -> State:
    """A state dict by the names of Facebook and Microsoft, which are ours."""
    draws = np.random.default_rng(seed)
    family = CONVNEXT if facts["family"] == "convnext" else SWIN
    found = {}
    for name, shape in family.shapes(facts).items():
        inside = max(int(np.prod(shape[1:])), 1)
        scale, centre = (0.2, float(name.endswith("weight"))) if len(shape) == 1 else (inside**-0.5, 0.0)
        values = draws.standard_normal(shape) * scale + (1.0 if "gamma" in name else centre)
        found[name] = torch.tensor(values, dtype=torch.float32)
    return found


def renamed(state: State, *rules: tuple[str, str]) -> State:
    """The names after each (pattern, replacement) in turn."""
    found = {}
    for name, tensor in state.items():
        for pattern, new in rules:
            name = re.sub(pattern, new, name)
        found[name] = tensor
    return found


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def sparse(state: State) -> State:
    """FCMAE's file: MinkowskiEngine's kernels, whose places run down the columns, and what is beside them."""
    found: State = {"mask_token": torch.zeros(1, 512, 1, 1), "proj.weight": torch.ones(512, 40, 1, 1)}
    for name, tensor in state.items():
        layer, _, part = name.rpartition(".")
        if layer == "norm":
            continue  # the encoder has none
        if re.fullmatch(r"downsample_layers\.[123]\.1|stages.*dwconv", layer):
            if part == "weight":
                part, taken = "kernel", tensor[:, 0] if ".dwconv" in layer else tensor.transpose(0, 1)
                side = range(tensor.shape[-1])
                tensor = torch.stack([taken[..., y, x] for x in side for y in side])
            else:
                tensor = tensor[None]
        elif re.fullmatch(r"downsample_layers\.[123]\.0|stages.*norm", layer):
            layer += ".ln"
        elif ".pwconv" in layer:
            layer += ".linear"
        elif layer.endswith(".grn"):
            tensor = tensor.reshape(1, -1)
        found[f"encoder.{layer}.{part}"] = tensor
    return found


def with_index(state: State, name: str = "attn.relative_position_index", flat: bool = False) -> State:
    """With the buffers of Swin: the index of each block, and the masks of the shifted ones."""
    found = dict(state)
    for table, tensor in state.items():
        if table.endswith("relative_position_bias_table"):
            window = (round(tensor.shape[0] ** 0.5) + 1) // 2
            found[table.replace("bias_table", "index")] = (
                pair_index(window).flatten() if flat else pair_index(window)
            )
            if not flat and ".blocks.1." in table:
                found[table.replace("attn.relative_position_bias_table", "attn_mask")] = torch.zeros(
                    4, 16, 16
                )
    return found


def pair_index(window: int) -> Tensor:
    """Slowly: the row of the table for each pair of positions of a window."""
    places = [(y, x) for y in range(window) for x in range(window)]
    rows = [
        [(a - c + window - 1) * (2 * window - 1) + b - d + window - 1 for c, d in places] for a, b in places
    ]
    return torch.tensor(rows)


def need(module: str) -> Any:
    """An oracle that CI may lack."""
    return pytest.importorskip(module, reason=f"{module} is not installed: its classes are the oracle")


def shapes_of(name: str) -> dict[str, tuple[int, ...]]:
    """Of a network of timm, made on the meta device."""
    with torch.device("meta"):
        net = need("timm").create_model(name)
    return {key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}


def unread(shape: tuple[int, ...]) -> StoredTensor:
    """A tensor of a file of which the shape alone is known."""
    tensor = StoredTensor()
    tensor.shape, tensor.dtype = shape, "f4"
    return tensor
