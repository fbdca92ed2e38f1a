"""Detectron2's loading rule as its code documents it: longest dotted suffix, equal shape, once.

Used with stored lists of a C4 and an FPN model's tensors where Detectron2 itself is not installed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

Shape = tuple[int, ...]
STORED = Path(__file__).with_name("detectron2_models.json")
BACKBONE = ("backbone.stem.", "backbone.res", "backbone.bottom_up.", "roi_heads.res5.")


@cache
def stored_models() -> dict[str, dict[str, Shape]]:
    """Model -> tensor name -> shape, recorded from real models by `record_detectron2_models.py`."""
    models = json.loads(STORED.read_text(encoding="utf-8"))
    return {model: {name: tuple(shape) for name, shape in names.items()} for model, names in models.items()}


def is_backbone(name: str) -> bool:
    """Tensors that a checkpoint must set; MoCo's extra norm behind res5 keeps its initial value."""
    return name.startswith(BACKBONE) and not name.startswith("roi_heads.res5.norm.")


def matches(model: Mapping[str, Shape], file: Mapping[str, Shape]) -> dict[str, str]:
    """Model name -> file name for every tensor that would be set. Raises ValueError for an ambiguous file."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name, shape in model.items():
        parts = name.split(".")
        endings = [".".join(parts[start:]) for start in range(len(parts))]  # the longest first
        best = next((ending for ending in endings if ending in file), None)
        if best is not None and file[best] == shape:
            if best in taken:
                raise ValueError(f"{best} fits several tensors of the model")
            found[name] = best
            taken.add(best)
    return found
