"""Our ViT's tensors as Google's JAX code saves them: kernels transposed, heads apart, q k v one by one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.converters.vit_foreign_names import Weights, split_qkv

# What vision_transformer and big_vision call the norms, the attention and the MLP of a block.
OLD = ("LayerNorm_0", "MultiHeadDotProductAttention_1", "LayerNorm_2", "MlpBlock_3")
BIG_VISION = ("LayerNorm_0", "MultiHeadDotProductAttention_0", "LayerNorm_1", "MlpBlock_0")
ATTENTION = {"q": "query", "k": "key", "v": "value"}


def google(weights: Mapping[str, np.ndarray], heads: int, prefix: str = "") -> Weights:
    """vision_transformer's file (AugReg and before): the class token has a position of its own."""
    found = _blocks(weights, heads, OLD) | _ends(weights)
    found["Transformer/posembed_input/pos_embedding"] = weights["pos_embed"]
    return {prefix + name: array for name, array in found.items()}


def big_vision(
    weights: Mapping[str, np.ndarray], heads: int, prefix: str = "params/img/", stacked: bool = False
) -> Weights:
    """big_vision's file (SigLIP): positions at the root; `stacked` has all blocks in one, as a scan does."""
    blocks = _blocks(weights, heads, BIG_VISION)
    if stacked:
        rest: dict[str, list[np.ndarray]] = {}
        for block in range(sum(name.endswith("LayerNorm_0/scale") for name in blocks)):
            for name, array in blocks.items():
                before, _, after = name.partition(f"encoderblock_{block}/")
                if after:
                    rest.setdefault(f"{before}encoderblock/{after}", []).append(array)
        blocks = {name: np.stack(arrays) for name, arrays in rest.items()}
    found = blocks | _ends(weights) | {"pos_embedding": weights["pos_embed"]}
    return {prefix + name: array for name, array in found.items()}


def _ends(weights: Mapping[str, np.ndarray]) -> Weights:
    found = {
        "embedding/kernel": weights["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": weights["patch_embed.proj.bias"],
        "Transformer/encoder_norm/scale": weights["norm.weight"],
        "Transformer/encoder_norm/bias": weights["norm.bias"],
    }
    return found | ({"cls": weights["cls_token"]} if "cls_token" in weights else {})


def _blocks(weights: Mapping[str, np.ndarray], heads: int, words: tuple[str, str, str, str]) -> Weights:
    norm1, attention, norm2, mlp = words
    found: Weights = {}
    for name, array in split_qkv(weights).items():
        if not name.startswith("blocks."):
            continue
        _, block, owner, *rest = name.split(".")
        here = f"Transformer/encoderblock_{block}"
        if owner in ("norm1", "norm2"):
            part = "scale" if rest[-1] == "weight" else "bias"
            found[f"{here}/{norm1 if owner == 'norm1' else norm2}/{part}"] = array
        elif owner == "mlp":
            layer = f"{here}/{mlp}/Dense_{int(rest[0][-1]) - 1}"
            found |= {f"{layer}/kernel": array.T} if rest[-1] == "weight" else {f"{layer}/bias": array}
        elif rest[0] in ATTENTION:
            layer = f"{here}/{attention}/{ATTENTION[rest[0]]}"
            if rest[-1] == "weight":
                found[f"{layer}/kernel"] = array.T.reshape(array.shape[1], heads, -1)
            else:
                found[f"{layer}/bias"] = array.reshape(heads, -1)
        else:
            layer = f"{here}/{attention}/out"
            wide = array.T.reshape(heads, -1, array.shape[0]) if rest[-1] == "weight" else array
            found[f"{layer}/{'kernel' if rest[-1] == 'weight' else 'bias'}"] = wide
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


def pool(width: int, hidden: int, heads: int, prefix: str = "params/img/MAPHead_0/") -> Weights:
    """SigLIP's attention pool, which no backbone holds."""
    head = width // heads
    shapes = {
        "probe": (1, 1, width),
        "LayerNorm_0/scale": (width,),
        "LayerNorm_0/bias": (width,),
        "MlpBlock_0/Dense_0/kernel": (width, hidden),
        "MlpBlock_0/Dense_0/bias": (hidden,),
        "MlpBlock_0/Dense_1/kernel": (hidden, width),
        "MlpBlock_0/Dense_1/bias": (width,),
        "MultiHeadDotProductAttention_0/out/kernel": (heads, head, width),
        "MultiHeadDotProductAttention_0/out/bias": (width,),
    }
    for word in ATTENTION.values():
        shapes[f"MultiHeadDotProductAttention_0/{word}/kernel"] = (width, heads, head)
        shapes[f"MultiHeadDotProductAttention_0/{word}/bias"] = (heads, head)
    return {prefix + name: np.full(shape, 0.5, np.float32) for name, shape in shapes.items()}


def saved(weights: Mapping[str, np.ndarray], path: Path) -> Path:
    """The archive as numpy writes it."""
    np.savez(path, **weights)
    return path
