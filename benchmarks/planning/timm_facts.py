"""Reads off timm's model what no tensor of its file tells: heads, epsilon, activation, rotary positions."""

from __future__ import annotations

from typing import Any

ACTIVATIONS = {"QuickGELU": "quick_gelu", "SiLU": "silu", "GELUTanh": "gelu_tanh"}  # names of timm's classes
ROTARY = {"RotaryEmbeddingDinoV3": "dinov3", "RotaryEmbeddingCat": "eva02"}


def stated_by_timm(name: str) -> dict[str, Any]:
    """The facts of timm's model of that name, by their keys in a manifest; those that were found.

    The model is built on torch's meta device, which holds no numbers.
    """
    import timm
    import torch

    with torch.device("meta"):
        model: Any = timm.create_model(name, pretrained=False, num_classes=0)
    block = _first_block(model)
    if block is None:
        return {}
    norm = next((getattr(block, key) for key in ("norm1", "norm") if hasattr(block, key)), None)
    rope = type(getattr(model, "rope", None)).__name__
    found = {
        "num_heads": getattr(getattr(block, "attn", None), "num_heads", None),
        "norm_eps": getattr(norm, "eps", None),
        "activation": _activation(getattr(getattr(block, "mlp", None), "act", None)),
        "rope": ROTARY.get(rope),
        "rope_base": float(model.rope.temperature) if rope == "RotaryEmbeddingDinoV3" else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def restated(manifest: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """The facts that a manifest has otherwise, with values of its own kind: a Swin's heads are a list."""
    return {
        key: value
        for key, value in facts.items()
        if key in manifest and type(manifest[key]) is type(value) and manifest[key] != value
    }


def _first_block(model: Any) -> Any:
    """The first block of a ViT, or of the first stage of a hierarchy; None where there is none."""
    for stages in (getattr(model, "stages", None), getattr(model, "layers", None)):
        if stages is not None and len(stages) and hasattr(stages[0], "blocks"):
            return stages[0].blocks[0]
    blocks = getattr(model, "blocks", None)
    return blocks[0] if blocks is not None and len(blocks) else None


def _activation(layer: Any) -> str | None:
    name = type(layer).__name__
    if name == "GELU":
        return "gelu_tanh" if getattr(layer, "approximate", "none") == "tanh" else "gelu"
    return ACTIVATIONS.get(name)
