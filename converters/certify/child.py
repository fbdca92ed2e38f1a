"""Runs a publisher's code on our images, in the process that `reference.py` starts for it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from converters.certify.features import MAP, Reference, write_features
from converters.certify.images import Maps, Size, image


def main(job: Mapping[str, Any]) -> int:
    """Takes what `reference.py` asks for, writes a file of features; whatever goes wrong is raised."""
    sys.path.insert(0, job["checkout"])
    make = getattr(import_module(job["module"]), job["name"])
    import torch

    model = make(job["file"])
    if isinstance(model, torch.nn.Module):
        model.eval()
    sizes = [tuple(size) for size in job["sizes"]]
    with torch.no_grad():
        found = tuple(_maps(model(torch.from_numpy(image(size))), size) for size in sizes)
    title = f"{job['module']}:{job['name']} of {Path(job['checkout']).name}"
    write_features(Path(job["out"]), Reference(title, found, _stride(model)), sizes)
    return 0


def _maps(output: Any, size: Size) -> Maps:
    """A map, or a table of maps by name; tokens (1, T, C) are taken for a map whose places come last."""
    table = output if isinstance(output, dict) else {MAP: output}
    found = {}
    for name, tensor in table.items():
        array = tensor.detach().float().cpu().numpy()[0]
        if array.ndim == 2:
            array = _unflattened(array, size)
        found[str(name)] = array
    return found


def _unflattened(tokens: np.ndarray, size: Size) -> np.ndarray:
    """(T, C) -> (C, H/s, W/s) of the smallest stride whose places are not more than the tokens."""
    for stride in range(1, min(size) + 1):
        high, wide = size[0] // stride, size[1] // stride
        if size[0] % stride == size[1] % stride == 0 and high * wide <= len(tokens):
            return tokens[len(tokens) - high * wide :].T.reshape(-1, high, wide)
    raise ValueError(f"{len(tokens)} tokens are no map of {size[0]}x{size[1]} pixels")


def _stride(model: Any) -> int:
    """The stride that a model declares: `stride`, or the last one of a table as Detectron2's; 0 for none."""
    stated = getattr(model, "stride", None) or getattr(model, "_out_feature_strides", 0)
    if isinstance(stated, dict):
        stated = list(stated.values())[-1]
    return int(stated) if isinstance(stated, (int, float)) else 0
