"""Holds our ViT against transformers' classes where that library is installed; CI has timm alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

from converters.models.build import build
from tests.converters.models.vit_cases import PLAIN, SIZES, difference, facts, images, trained

COMMON = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "patch_size": 8,
    "image_size": 56,
}
# What transformers' models call a part in memory -> ours; files on disk have older names.
NAMES = (
    (r"^vision_model\.", ""),
    (r"^(encoder\.layers?|model\.layer|layers)\.", "blocks."),
    (r"^embeddings\.(cls_token|class_embedding)", "cls_token"),
    (r"^embeddings\.register_tokens", "register_tokens"),
    (r"^embeddings\.position_embeddings?(\.weight)?$", "pos_embed"),
    (r"^embeddings\.patch_embeddings?(\.projection)?", "patch_embed.proj"),
    (r"^pre_layrnorm", "norm_pre"),
    (r"^(post_layernorm|layernorm)\.", "norm."),
    (r"layernorm_before|layer_norm1", "norm1"),
    (r"layernorm_after|layer_norm2", "norm2"),
    (r"layer_scale(.)\.lambda1", r"ls\1.gamma"),
    (r"(self_attn|attention)\.(o_proj|out_proj)", "attn.proj"),
    (r"(self_attn|attention)\.", "attn."),
    (r"up_proj", "fc1"),
    (r"down_proj", "fc2"),
)


def _ours(theirs: nn.Module, known: dict[str, Any]) -> nn.Module:
    model = build(known, norm_taps=known["final_norm"]).eval()
    state: dict[str, torch.Tensor] = {}
    for name, tensor in theirs.state_dict().items():
        for pattern, ours in NAMES:
            name = re.sub(pattern, ours, name)
        state[name] = tensor
    for name, tensor in model.state_dict().items():
        if ".qkv." in name:
            parts = [state.get(name.replace("qkv", f"{part}_proj")) for part in "qkv"]
            width = tensor.shape[0] // 3  # DINOv3 has no bias for its keys
            state[name] = torch.cat([torch.zeros(width) if part is None else part for part in parts])
        if name == "patch_embed.proj.bias":
            state.setdefault(name, torch.zeros_like(tensor))  # CLIP has none
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: state[name].reshape(shape) for name, shape in shapes.items()})
    return model


def _hold(theirs: nn.Module, ours: nn.Module, prefix: int, **options: Any) -> None:
    for size in SIZES:
        x = images(size)
        with torch.no_grad():
            expected = theirs(x, **options).last_hidden_state[:, prefix:]
            found = ours(x)["tap1"].flatten(2).transpose(1, 2)
        assert difference(found, expected) < 1e-5, size


def test_dinov2() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    theirs = trained(transformers.Dinov2Model(transformers.Dinov2Config(**COMMON, mlp_ratio=4)))
    ours = _ours(theirs, {**facts("dinov2"), "pos_interpolation": "detectron2"})
    _hold(theirs, ours, 1)


def test_dinov3() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.DINOv3ViTConfig(**COMMON, num_register_tokens=4)
    theirs = trained(transformers.DINOv3ViTModel(config))
    _hold(theirs, _ours(theirs, facts("dinov3")), 5)


def test_clip() -> None:
    """Its last_hidden_state is in front of the final norm."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    theirs = trained(transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**COMMON)))
    known = {**facts("clip"), "pos_interpolation": "detectron2", "final_norm": False}
    _hold(theirs, _ours(theirs, known), 1, interpolate_pos_encoding=True)


def test_mae() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.ViTConfig(**COMMON, layer_norm_eps=1e-6)
    theirs = trained(transformers.ViTModel(config, add_pooling_layer=False))
    _hold(theirs, _ours(theirs, PLAIN), 1, interpolate_pos_encoding=True)
