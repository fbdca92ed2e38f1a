"""Our ViT's tensors in other publishers' words, by substitution: an oracle for the package's templates.

Each maker takes {our name: array} and gives what the publisher's class has in its state dict, backbone only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

Weights = dict[str, np.ndarray]
Rules = tuple[tuple[str, str], ...]


def substituted(weights: Mapping[str, np.ndarray], rules: Rules, prefix: str = "") -> Weights:
    """Each name with all the rules (pattern, replacement) applied in turn."""
    found = {}
    for ours, array in weights.items():
        name = ours
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        found[prefix + name] = array
    return found


def split_qkv(weights: Mapping[str, np.ndarray], no_key_bias: bool = False) -> Weights:
    """The fused projection in three: `attn.q.weight` and so on; where keys have no bias, without theirs."""
    found: Weights = {}
    for name, array in weights.items():
        if ".attn.qkv." not in name:
            found[name] = array
            continue
        for part, piece in zip("qkv", np.split(array, 3), strict=True):
            if no_key_bias and name.endswith("qkv.bias") and part == "k":
                assert not piece.any(), "a publisher without key biases cannot hold this one"
                continue
            found[name.replace("qkv", part)] = piece
    return found


def without(weights: Mapping[str, np.ndarray], *names: str) -> Weights:
    return {name: array for name, array in weights.items() if name not in names}


def reshaped(weights: Mapping[str, np.ndarray], **shapes: tuple[int, ...]) -> Weights:
    """Some tensors in other shapes; dots of names are written as double underscores."""
    wanted = {name.replace("__", "."): shape for name, shape in shapes.items()}
    return {n: a.reshape(wanted[n]) if n in wanted else a for n, a in weights.items()}


CLIP: Rules = (
    (r"^patch_embed\.proj\.", "conv1."),
    (r"^cls_token$", "class_embedding"),
    (r"^pos_embed$", "positional_embedding"),
    (r"^norm_pre\.", "ln_pre."),
    (r"^norm\.", "ln_post."),
    (r"^blocks\.", "transformer.resblocks."),
    (r"\.norm(\d)\.", r".ln_\1."),
    (r"\.attn\.qkv\.", ".attn.in_proj_"),
    (r"\.attn\.proj\.", ".attn.out_proj."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    (r"\.ls(\d)\.gamma$", r".ls_\1.gamma"),
)


def clip(weights: Mapping[str, np.ndarray], prefix: str = "visual.") -> Weights:
    """OpenAI's and open_clip's tower: no bias in the patches, flat class and position embeddings."""
    flat = without(weights, "patch_embed.proj.bias")
    width = weights["cls_token"].size
    return substituted(reshaped(flat, cls_token=(width,), pos_embed=(-1, width)), CLIP, prefix)


TORCHVISION: Rules = (
    (r"^patch_embed\.proj\.", "conv_proj."),
    (r"^cls_token$", "class_token"),
    (r"^pos_embed$", "encoder.pos_embedding"),
    (r"^norm\.", "encoder.ln."),
    (r"^blocks\.(\d+)\.", r"encoder.layers.encoder_layer_\1."),
    (r"\.norm(\d)\.", r".ln_\1."),
    (r"\.attn\.qkv\.", ".self_attention.in_proj_"),
    (r"\.attn\.proj\.", ".self_attention.out_proj."),
)


def torchvision(weights: Mapping[str, np.ndarray], old: bool = False) -> Weights:
    """torchvision's VisionTransformer; `old` names the MLP as its first files do."""
    first, second = ("mlp.linear_1.", "mlp.linear_2.") if old else ("mlp.0.", "mlp.3.")
    return substituted(weights, (*TORCHVISION, (r"mlp\.fc1\.", first), (r"mlp\.fc2\.", second)))


HUGGINGFACE: Rules = (
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^(cls_token|register_tokens)$", r"embeddings.\1"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^norm\.", "layernorm."),
    (r"^blocks\.", "encoder.layer."),
    (r"\.attn\.q\.", ".attention.attention.query."),
    (r"\.attn\.k\.", ".attention.attention.key."),
    (r"\.attn\.v\.", ".attention.attention.value."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
)
PLAIN_BLOCK: Rules = (
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
)
# transformers 5 shows these names in a live model, and still writes the ones above.
LIVE: Rules = (
    (r"attention\.attention\.query\.", "attention.q_proj."),
    (r"attention\.attention\.key\.", "attention.k_proj."),
    (r"attention\.attention\.value\.", "attention.v_proj."),
    (r"attention\.output\.dense\.", "attention.o_proj."),
    (r"intermediate\.dense\.", "mlp.fc1."),
    (r"output\.dense\.", "mlp.fc2."),
)


def hf_vit(weights: Mapping[str, np.ndarray], prefix: str = "vit.", live: bool = False) -> Weights:
    """ViT and ViTMAE of transformers, as on disk, or with the names of a live model of transformers 5."""
    newer = (*LIVE, (r"^encoder\.layer\.", "layers.")) if live else ()
    return substituted(split_qkv(weights), (*HUGGINGFACE, *PLAIN_BLOCK, *newer), prefix)


def hf_dinov2(weights: Mapping[str, np.ndarray], prefix: str = "", live: bool = False) -> Weights:
    """DINOv2 of transformers, registers and SwiGLU included: gate and value are one tensor on disk."""
    scale = ((r"\.ls(\d)\.gamma$", r".layer_scale\1.lambda1"),)
    gated = (
        (r"\.mlp\.fc1_g\.", ".mlp.gate_proj."),
        (r"\.mlp\.fc1_x\.", ".mlp.up_proj."),
        (r"\.mlp\.fc2\.", ".mlp.down_proj."),
    )
    swiglu = "blocks.0.mlp.fc1_g.weight" in weights
    if swiglu and not live:
        weights = joined_gate(weights, "weights_in")
        gated = ((r"\.mlp\.fc2\.", ".mlp.weights_out."),)
    rules = (*HUGGINGFACE, *scale, *(gated if swiglu else ()), *(LIVE[:4] if live else ()))
    return substituted(split_qkv(weights), rules, prefix)


def joined_gate(weights: Mapping[str, np.ndarray], word: str) -> Weights:
    """Gate and value of each SwiGLU in one tensor `mlp.WORD`, the gate first."""
    found = {n: a for n, a in weights.items() if ".mlp.fc1_" not in n}
    for name, gate in weights.items():
        if ".mlp.fc1_g." in name:
            both = [gate, weights[name.replace("fc1_g", "fc1_x")]]
            found[name.replace("fc1_g", word)] = np.concatenate(both)
    return found


DINOV3: Rules = (
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings."),
    (r"^(cls_token|register_tokens)$", r"embeddings.\1"),
    (r"^blocks\.", "layer."),
    (r"\.attn\.([qkv])\.", r".attention.\1_proj."),
    (r"\.attn\.proj\.", ".attention.o_proj."),
    (r"\.ls(\d)\.gamma$", r".layer_scale\1.lambda1"),
    (r"\.mlp\.fc1_g\.", ".mlp.gate_proj."),
    (r"\.mlp\.fc1(_x)?\.", ".mlp.up_proj."),
    (r"\.mlp\.fc2\.", ".mlp.down_proj."),
)


def hf_dinov3(weights: Mapping[str, np.ndarray], live: bool = False) -> Weights:
    """DINOv3 of transformers: no key bias; a live model says `model.layer` for `layer`."""
    newer = ((r"^layer\.", "model.layer."),) if live else ()
    return substituted(split_qkv(weights, no_key_bias=True), (*DINOV3, *newer))


HF_CLIP: Rules = (
    (r"^patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"^cls_token$", "embeddings.class_embedding"),
    (r"^pos_embed$", "embeddings.position_embedding.weight"),
    (r"^norm_pre\.", "pre_layrnorm."),
    (r"^norm\.", "post_layernorm."),
    (r"^blocks\.", "encoder.layers."),
    (r"\.norm(\d)\.", r".layer_norm\1."),
    (r"\.attn\.([qkv])\.", r".self_attn.\1_proj."),
    (r"\.attn\.proj\.", ".self_attn.out_proj."),
)


def hf_clip(weights: Mapping[str, np.ndarray], prefix: str = "vision_model.") -> Weights:
    """CLIP's and SigLIP's vision tower of transformers; CLIP's patches have no bias."""
    width = weights["patch_embed.proj.weight"].shape[0]
    if "cls_token" in weights:
        weights = without(weights, "patch_embed.proj.bias")
    flat = reshaped(weights, cls_token=(width,), pos_embed=(-1, width))
    return substituted(split_qkv(flat), HF_CLIP, prefix)


def hf_beit(weights: Mapping[str, np.ndarray], prefix: str = "beit.", live: bool = False) -> Weights:
    """BEiT of transformers; masked image modelling keeps the last norm outside `beit.`."""
    tables: Rules = (
        (r"^rel_pos_bias\.", "encoder.relative_position_bias."),
        (r"\.attn\.relative_position_", ".attention.attention.relative_position_bias.relative_position_"),
        (r"\.ls(\d)\.gamma$", r".lambda_\1"),
    )
    newer: Rules = (
        (r"^encoder\.relative_position_bias\.", "shared_position_bias."),
        (r"attention\.attention\.relative_position_bias\.", "relative_position_bias."),
        *LIVE,
        (r"^encoder\.layer\.", "layers."),
    )
    rules = (*HUGGINGFACE, *PLAIN_BLOCK, *tables, *(newer if live else ()))
    found = substituted(split_qkv(weights, no_key_bias=True), rules)
    return {n if n.startswith("layernorm.") else prefix + n: a for n, a in found.items()}


EVA02: Rules = (
    (r"\.attn\.([qkv])\.weight$", r".attn.\1_proj.weight"),
    (r"\.attn\.([qkv])\.bias$", r".attn.\1_bias"),
    (r"\.attn\.norm\.", ".attn.inner_attn_ln."),
    (r"\.mlp\.norm\.", ".mlp.ffn_ln."),
    (r"\.mlp\.fc1_g\.", ".mlp.w1."),
    (r"\.mlp\.fc1_x\.", ".mlp.w2."),
    (r"\.mlp\.fc2\.", ".mlp.w3."),
)


def eva02(weights: Mapping[str, np.ndarray], heads: int, prefix: str = "") -> Weights:
    """EVA-02's own names (baaivision/EVA, asuka and rei), with its buffers of rotary angles."""
    found = substituted(split_qkv(weights, no_key_bias=True), EVA02, prefix)
    width, rows = weights["cls_token"].size, weights["pos_embed"].shape[1] - 1
    depth = len({name.split(".")[1] for name in weights if name.startswith("blocks.")})
    for owner in ("rope", *(f"blocks.{block}.attn.rope" for block in range(depth))):
        cos, sin = eva02_angles(width // heads, round(rows**0.5))
        found |= {f"{prefix}{owner}.freqs_cos": cos, f"{prefix}{owner}.freqs_sin": sin}
    return found


def eva02_angles(head: int, side: int, reference: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines (side * side, head) of EVA-02: half for rows, half for columns, each angle twice."""
    quarter = head // 4
    frequencies = 1.0 / 10000.0 ** (np.arange(quarter) / quarter)
    places = np.arange(side) / side * reference
    line = np.repeat(places[:, None] * frequencies[None, :], 2, axis=1)  # (side, head / 2)
    rows = np.broadcast_to(line[:, None, :], (side, side, head // 2))
    columns = np.broadcast_to(line[None, :, :], (side, side, head // 2))
    angles = np.concatenate([rows, columns], axis=-1).reshape(side * side, head)
    return np.cos(angles).astype("f4"), np.sin(angles).astype("f4")


MMPRETRAIN: Rules = (
    (r"^patch_embed\.proj\.", "patch_embed.projection."),
    (r"^norm_pre\.", "pre_norm."),
    (r"^norm\.", "ln1."),
    (r"^blocks\.", "layers."),
    (r"\.norm(\d)\.", r".ln\1."),
    (r"\.ls1\.gamma$", ".attn.gamma1.weight"),
    (r"\.ls2\.gamma$", ".ffn.gamma2.weight"),
    (r"\.mlp\.fc1\.", ".ffn.layers.0.0."),
    (r"\.mlp\.fc2\.", ".ffn.layers.1."),
)


def mmpretrain(weights: Mapping[str, np.ndarray], prefix: str = "backbone.") -> Weights:
    """MMPretrain's VisionTransformer; its CLIP (with `pre_norm`) has no bias in the patches."""
    if "norm_pre.weight" in weights:
        weights = without(weights, "patch_embed.proj.bias")
    return substituted(weights, MMPRETRAIN, prefix)
