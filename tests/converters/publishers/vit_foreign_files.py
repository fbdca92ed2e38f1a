"""Files of vision transformers whose names are not timm's, each in its publisher's layout, with its junk."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from converters.networks.vit_shapes import FACTS, HEADS, shapes
from tests.converters import vit_npz as npz
from tests.converters.publishers.files import lightning, saved

Weights = dict[str, np.ndarray]
WIDTH, DEPTH, SMALL_HEADS = 64, 2, 4
SMALL = {fact.key: fact.usual for fact in FACTS} | {
    "embed_dim": WIDTH,
    "depth": DEPTH,
    "mlp_dim": 96,
    "patch_size": 8,
    "pos_tokens": 17,
    HEADS: SMALL_HEADS,
}
NO_CLASS = {"class_token": False, "pos_tokens": 16, "pos_prefix": 0}
SCALED = {"layer_scale": True}
CLIP = {"pre_norm": True}
TOLD = {"num_heads": SMALL_HEADS, "norm_eps": 1e-4}
QUICK = {"activation": "quick_gelu", "norm_eps": 1e-5}
TANH = {"activation": "gelu_tanh", "num_heads": SMALL_HEADS, "pos_interpolation": "bilinear"}
DINOV3 = {**SCALED, "pos_tokens": 0, "pos_prefix": 0, "registers": 4}
SWIGLU = {"mlp": "swiglu"}
BEIT = {**SCALED, "pos_tokens": 0, "pos_prefix": 0, "rel_pos": "shared", "rel_pos_grid": 4}


@dataclass(frozen=True)
class ViTCase:
    """A file, and what the converter must say about it."""

    name: str
    build: Callable[[Weights, Path], Path]
    source: str
    facts: Mapping[str, Any] = field(default_factory=dict)  # of its shapes, where it is not a small ViT
    stated: Mapping[str, Any] = field(default_factory=dict)  # facts of the manifest that no shape tells
    keyless: bool = False  # keys have no bias
    bare: bool = False  # nor have the patches
    pixels: float = 123.675  # the first mean
    options: Mapping[str, str] = field(default_factory=dict)  # of open_checkpoint

    def weights(self, seed: int = 0) -> Weights:
        """Its tensors by our names, as trained."""
        return trained(SMALL | self.facts, seed, self.keyless, self.bare)


def trained(facts: Mapping[str, Any], seed: int = 0, keyless: bool = False, bare: bool = False) -> Weights:
    """Values as training leaves them; zeros where a publisher stores no bias of keys or patches."""
    rng = np.random.default_rng(seed)
    found: Weights = {}
    for name, shape in shapes(facts).items():
        values = rng.standard_normal(shape).astype("f4") * np.float32(0.1)
        norm = "norm" in name.split(".")[-2] if "." in name else False
        found[name] = 1 + values if norm and name.endswith("weight") else values
        if keyless and name.endswith("qkv.bias"):
            found[name][facts["embed_dim"] : 2 * facts["embed_dim"]] = 0
        if bare and name == "patch_embed.proj.bias":
            found[name][:] = 0
    return found


def tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def junk(*lines: str) -> dict[str, np.ndarray]:
    """Tensors of heads and text towers: small, and of no shape in particular."""
    return {name: np.full((3, 5), 0.5, np.float32) for name in lines}


TEXT = junk(
    "positional_embedding",
    "text_projection",
    "token_embedding.weight",
    "ln_final.weight",
    "logit_scale",
    "visual.proj",
    *(f"transformer.resblocks.{i}.attn.in_proj_weight" for i in range(2)),
    *(f"transformer.resblocks.{i}.ln_1.bias" for i in range(2)),
)
HF_TEXT = junk(
    "logit_scale",
    "text_projection.weight",
    "visual_projection.weight",
    "text_model.embeddings.token_embedding.weight",
    "text_model.encoder.layers.0.self_attn.q_proj.weight",
    "text_model.encoder.layers.0.layer_norm1.weight",
    "text_model.final_layer_norm.weight",
)
POOL = junk("head.probe", "head.attention.in_proj_weight", "head.mlp.fc1.weight", "head.layernorm.weight")


def torch_file(
    make: Callable[[Weights], Mapping[str, np.ndarray]],
    wrap: Callable[[dict[str, torch.Tensor]], Any] = dict,
    name: str = "checkpoint.pt",
) -> Callable[[Weights, Path], Path]:
    return lambda weights, folder: saved(wrap(tensors(make(weights))), folder / name)


def lightning_file(
    make: Callable[[Weights], Mapping[str, np.ndarray]],
) -> Callable[[Weights, Path], Path]:
    return lambda weights, folder: lightning(tensors(make(weights)), folder / "last.ckpt")


def npz_file(make: Callable[[Weights], Weights]) -> Callable[[Weights, Path], Path]:
    return lambda weights, folder: npz.saved(make(weights), folder / "weights.npz")


def folder_file(
    make: Callable[[Weights], Mapping[str, np.ndarray]],
    config: Mapping[str, Any],
    preprocessing: Mapping[str, Any] | None = None,
    name: str = "model.safetensors",
) -> Callable[[Weights, Path], Path]:
    """A folder as `save_pretrained` leaves it."""

    def build(weights: Weights, folder: Path) -> Path:
        home = folder / "model"
        home.mkdir()
        save_file({n: np.ascontiguousarray(a) for n, a in make(weights).items()}, home / name)
        settings = "open_clip_config.json" if name.startswith("open_clip") else "config.json"
        (home / settings).write_text(json.dumps(config))
        if preprocessing is not None:
            (home / "preprocessor_config.json").write_text(json.dumps(preprocessing))
        return home

    return build


def half(arrays: Mapping[str, np.ndarray]) -> Weights:
    return {name: array.astype(np.float16) for name, array in arrays.items()}


def config(kind: str, **more: Any) -> dict[str, Any]:
    """As transformers writes it: 4 heads, and an epsilon that no class has by itself."""
    return {"model_type": kind, "num_attention_heads": SMALL_HEADS, "layer_norm_eps": 1e-4, **more}


def prefixed(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {prefix + name: array for name, array in arrays.items()}
