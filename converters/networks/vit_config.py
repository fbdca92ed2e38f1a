"""Reads the facts of a vision transformer that no shape tells out of the config.json beside its weights.

Such a file may leave out what is usual for its class; the defaults below are those of transformers' classes
and of open_clip's, whose config is another table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from converters.errors import CheckpointError
from converters.networks.vit_shapes import HEADS

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "silu": "silu",
    "swish": "silu",
}
# model_type -> (heads, epsilon, activation, resizing of the positions) where config.json is silent
DEFAULTS: dict[str, tuple[int, float, str, str]] = {
    "vit": (12, 1e-12, "gelu", "detectron2"),
    "vit_mae": (12, 1e-12, "gelu", "detectron2"),
    "vit_msn": (12, 1e-6, "gelu", "detectron2"),
    "ijepa": (12, 1e-12, "gelu", "detectron2"),
    "beit": (12, 1e-12, "gelu", "detectron2"),
    "dinov2": (12, 1e-6, "gelu", "detectron2"),
    "dinov2_with_registers": (12, 1e-6, "gelu", "antialias"),
    "dinov3_vit": (6, 1e-5, "gelu", "detectron2"),
    "clip_vision_model": (12, 1e-5, "quick_gelu", "detectron2"),
    "siglip_vision_model": (12, 1e-6, "gelu_pytorch_tanh", "detectron2"),
}
TOWERS = {"clip": "clip_vision_model", "siglip": "siglip_vision_model"}
# What the tensors tell as well: the two must agree.
SHAPES = {
    "hidden_size": "embed_dim",
    "num_hidden_layers": "depth",
    "patch_size": "patch_size",
    "num_register_tokens": "registers",
}
NO_CONFIG = "no config.json was given: heads, epsilon and activation are assumed as usual"


def from_config(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Stated facts, and notes. CheckpointError for a model that is none of ours, or strange values."""
    if not config:
        return {}, [NO_CONFIG]
    if type(config.get("model_cfg")) is dict:
        return _open_clip(config["model_cfg"])
    kind = config.get("model_type")
    kind = kind if type(kind) is str else ""
    if kind in TOWERS:
        vision = config.get("vision_config")
        config, kind = vision if type(vision) is dict else {}, TOWERS[kind]
    if kind not in DEFAULTS:
        known = ", ".join([*DEFAULTS, *TOWERS])
        raise CheckpointError(f"config.json: model_type {kind!r:.60}; expected {known}")
    heads, eps, activation, resizing = DEFAULTS[kind]
    facts = {
        HEADS: _number(config, "num_attention_heads", int, heads),
        "norm_eps": float(_number(config, "layer_norm_eps", float, eps)),
        "activation": _activation(config.get("hidden_act", activation)),
        "pos_interpolation": resizing,
    }
    facts |= {ours: config[theirs] for theirs, ours in SHAPES.items() if type(config.get(theirs)) is int}
    if config.get("use_swiglu_ffn"):  # DINOv2's gated MLP does not ask `hidden_act`
        facts["activation"] = "silu"
    if kind == "dinov3_vit":
        facts |= {"rope": "dinov3", "rope_base": _rope_base(config)}
    return facts, []


def _rope_base(config: Mapping[str, Any]) -> float:
    newer = config.get("rope_parameters")
    place = newer if type(newer) is dict and "rope_theta" in newer else config
    return float(_number(place, "rope_theta", float, 100.0))


def _number(config: Mapping[str, Any], key: str, kind: type, usual: float) -> Any:
    value = config.get(key, usual)
    kinds = (int, float) if kind is float else (int,)
    if type(value) not in kinds or not 0 < value < 1e6:
        raise CheckpointError(f"config.json: {key} {value!r:.60}; expected a positive number")
    return value


def _activation(name: Any) -> str:
    if type(name) is not str or name not in ACTIVATIONS:
        raise CheckpointError(f"config.json: hidden_act {name!r:.60}; expected {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def _open_clip(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """open_clip_config.json: `quick_gelu` means OpenAI's activation, and a head is 64 wide by default.

    A tower of timm's has its facts in timm, by name, and always the exact GELU.
    """
    vision = config.get("vision_cfg")
    if type(vision) is not dict:
        raise CheckpointError("open_clip_config.json: no vision_cfg in its model_cfg")
    if "timm_model_name" in vision:
        return {}, [f"the vision tower is timm's {str(vision['timm_model_name'])[:60]!r}"]
    facts: dict[str, Any] = {"activation": "quick_gelu" if config.get("quick_gelu") else "gelu"}
    if "width" in vision:
        head = _number(vision, "head_width", int, 64)
        facts[HEADS] = max(1, _number(vision, "width", int, 768) // head)
    norm = vision.get("norm_kwargs")
    if type(norm) is dict and "eps" in norm:
        facts["norm_eps"] = float(_number(norm, "eps", float, 1e-5))
    act = vision.get("act_kwargs")
    if type(act) is dict and act:
        if act != {"approximate": "tanh"}:
            raise CheckpointError(f"open_clip_config.json: act_kwargs {act!r:.60}; expected approximate tanh")
        facts["activation"] = "gelu_tanh"
    return facts, []
