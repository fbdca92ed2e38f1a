"""The cases of vision transformers with names that are not timm's: for every row at least one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.converters import vit_foreign_names as names
from tests.converters import vit_npz as npz
from tests.converters.publishers.files import OPTIONS
from tests.converters.publishers.vit_foreign_files import (
    BEIT,
    DINOV3,
    HF_TEXT,
    NO_CLASS,
    POOL,
    SCALED,
    SMALL_HEADS,
    SWIGLU,
    TEXT,
    ViTCase,
    Weights,
    config,
    folder_file,
    half,
    junk,
    lightning_file,
    npz_file,
    torch_file,
)

CLIP = {"pre_norm": True}
QUICK = {"activation": "quick_gelu", "norm_eps": 1e-5}
TOLD = {"num_heads": SMALL_HEADS, "norm_eps": 1e-4}
TANH = {"activation": "gelu_tanh", "num_heads": SMALL_HEADS, "pos_interpolation": "bilinear"}
EVA = {**SWIGLU, "mlp_norm": True}
ROPE = {"rope": "eva02", "rope_base": 10000.0, "activation": "silu", "num_heads": SMALL_HEADS}
NUMBERS = junk("input_resolution", "context_length", "vocab_size")


def prefixed(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {prefix + name: array for name, array in arrays.items()}


def packed_eva(weights: Weights, fused: str, out: str) -> Weights:
    """EVA-02's Ti and S: one tensor for gate and value, one for queries, keys and values, two biases."""
    found: Weights = {}
    for name, array in names.joined_gate(weights, fused).items():
        if name.endswith("qkv.bias"):
            query, _, value = np.split(array, 3)
            found |= {name.replace("qkv.bias", "q_bias"): query, name.replace("qkv.bias", "v_bias"): value}
        else:
            found[name.replace("mlp.fc2", out)] = array
    return found


def timm_eva(weights: Weights, prefix: str = "") -> Weights:
    split = names.split_qkv(weights, no_key_bias=True)
    return names.substituted(split, ((r"\.attn\.([qkv])\.", r".attn.\1_proj."),), prefix)


def vitdet(weights: Weights, zeros: bool = False) -> dict[str, Any]:
    """A detector's: a position for the class token that it does not have, and what stands behind it."""
    found: dict[str, Any] = dict(weights)
    first = np.full((1, 1, weights["pos_embed"].shape[2]), 0.25, np.float32)
    found["pos_embed"] = np.concatenate([first, weights["pos_embed"]], axis=1)
    tables = [f"blocks.{block}.attn.rel_pos_{axis}" for block in range(2) for axis in "hw"] if zeros else []
    found |= {name: np.zeros((7, 16), np.float32) for name in tables}
    heads = junk("backbone.simfp_2.0.weight", "proposal_generator.rpn_head.conv.weight", "roi_heads.x.bias")
    return prefixed(found, "backbone.net.") | heads


def open_clip_folder(weights: Weights, folder: Path) -> Path:
    model = {"embed_dim": 5, "quick_gelu": True, "vision_cfg": {"width": 64, "layers": 2, "head_width": 16}}
    beside = {"model_cfg": model, "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 0.5]}}
    make = folder_file(lambda w: names.clip(w) | TEXT, beside, name="open_clip_model.safetensors")
    return make(weights, folder)


LIBRARIES: tuple[ViTCase, ...] = (
    ViTCase(
        "openai_clip",
        torch_file(lambda w: half(names.clip(w) | TEXT) | NUMBERS),
        "openai_clip",
        CLIP,
        QUICK,
        bare=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "openai_clip-stated",
        torch_file(lambda w: half(names.clip(w) | TEXT)),
        "openai_clip",
        CLIP,
        QUICK,
        bare=True,
        pixels=122.7709383,
        options={"source": "openai_clip"},
    ),
    ViTCase(
        "open_clip",
        torch_file(
            lambda w: names.clip(w, "module.visual.") | TEXT,
            lambda s: {"epoch": 3, "name": "run", "state_dict": s},
        ),
        "open_clip",
        CLIP,
        {"activation": "gelu", "norm_eps": 1e-5},
        bare=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "open_clip-folder",
        open_clip_folder,
        "open_clip",
        CLIP,
        {**QUICK, "num_heads": SMALL_HEADS},
        bare=True,
        pixels=127.5,
    ),
    ViTCase(
        "open_clip-scaled",
        torch_file(lambda w: names.clip(w) | TEXT),
        "open_clip",
        {**SCALED},
        {"activation": "gelu"},
        bare=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "open_clip_quickgelu",
        torch_file(lambda w: names.clip(w) | TEXT, name="vit_b_16-quickgelu-x.pt"),
        "open_clip_quickgelu",
        CLIP,
        QUICK,
        bare=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "metaclip",
        torch_file(lambda w: names.clip(w) | TEXT, name="metaclip_b16_400m.pt"),
        "open_clip_quickgelu",
        CLIP,
        QUICK,
        bare=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "open_clip_siglip",
        torch_file(
            lambda w: (
                prefixed(w | junk("attn_pool.latent", "attn_pool.q.weight"), "visual.trunk.")
                | junk("text.transformer.resblocks.0.ln_1.weight", "logit_bias")
            )
        ),
        "open_clip_siglip",
        NO_CLASS,
        {"pos_interpolation": "antialias"},
        pixels=127.5,
    ),
    ViTCase(
        "siglip",
        npz_file(
            lambda w: (
                npz.big_vision(w, SMALL_HEADS)
                | npz.pool(64, 96, SMALL_HEADS)
                | junk("params/t", "params/b", "params/txt/Embed_0/embedding")
            )
        ),
        "siglip",
        NO_CLASS,
        TANH,
        pixels=127.5,
    ),
    ViTCase(
        "siglip2",
        npz_file(lambda w: npz.big_vision(w, SMALL_HEADS, stacked=True) | npz.pool(64, 96, SMALL_HEADS)),
        "siglip",
        NO_CLASS,
        TANH,
        pixels=127.5,
    ),
    ViTCase(
        "augreg",
        npz_file(lambda w: npz.google(w, SMALL_HEADS) | junk("head/kernel", "head/bias")),
        "augreg",
        {},
        TANH,
        pixels=127.5,
    ),
    ViTCase(
        "augreg-opt",
        npz_file(
            lambda w: (
                npz.google(w, SMALL_HEADS, "opt/target/")
                | junk("opt/target/pre_logits/kernel", "opt/state/step")
            )
        ),
        "augreg",
        {},
        TANH,
        pixels=127.5,
    ),
    ViTCase(
        "augreg-params",
        npz_file(lambda w: npz.google(w, SMALL_HEADS, "params/")),
        "augreg",
        {},
        TANH,
        pixels=127.5,
    ),
    ViTCase(
        "big_vision",
        npz_file(lambda w: npz.big_vision(w, SMALL_HEADS, "params/")),
        "big_vision",
        {"pos_tokens": 16, "pos_prefix": 0, "class_token": True},
        TANH,
        pixels=127.5,
    ),
    ViTCase(
        "eva02",
        torch_file(
            lambda w: names.eva02(w, SMALL_HEADS) | junk("lm_head.weight", "mask_token"),
            lambda s: {"module": s},
        ),
        "eva02",
        EVA,
        ROPE,
        keyless=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "eva02_clip",
        torch_file(
            lambda w: (
                names.eva02(w, SMALL_HEADS, "visual.")
                | junk("visual.head.weight", "text.ln_final.weight", "logit_scale")
            )
        ),
        "eva02",
        {**EVA, "attn_norm": True},
        ROPE,
        keyless=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "eva02_packed",
        torch_file(lambda w: packed_eva(w, "w12", "mlp.w3") | junk("head.weight"), lambda s: {"model": s}),
        "eva02",
        SWIGLU,
        {"rope": "eva02", "activation": "silu"},
        keyless=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "timm_eva02",
        torch_file(timm_eva),
        "timm_eva02",
        EVA,
        {"rope": "eva02", "activation": "silu"},
        keyless=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "timm_eva02-open_clip",
        torch_file(
            lambda w: timm_eva(w, "visual.trunk.") | junk("visual.trunk.head.weight", "text.ln_final.weight")
        ),
        "timm_eva02",
        {**EVA, "attn_norm": True},
        {"rope": "eva02"},
        keyless=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "timm_eva02_packed",
        torch_file(lambda w: packed_eva(w, "fc1", "mlp.fc2")),
        "timm_eva02",
        SWIGLU,
        {"rope": "eva02"},
        keyless=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "torchvision_vit",
        torch_file(lambda w: names.torchvision(w) | junk("heads.head.weight")),
        "torchvision_vit",
    ),
    ViTCase(
        "torchvision_vit-old",
        torch_file(lambda w: names.torchvision(w, old=True) | junk("heads.head.weight")),
        "torchvision_vit",
    ),
    ViTCase(
        "mmpretrain_vit",
        torch_file(
            lambda w: names.mmpretrain(w) | junk("neck.decoder_embed.weight"),
            lambda s: {"meta": {"cfg": OPTIONS}, "state_dict": s},
        ),
        "mmpretrain_vit",
        SCALED,
    ),
    ViTCase(
        "mmpretrain_vit-clip",
        torch_file(lambda w: names.mmpretrain(w, ""), lambda s: {"meta": {}, "state_dict": s}),
        "mmpretrain_vit",
        CLIP,
        bare=True,
    ),
    ViTCase(
        "mmpretrain_vit-swiglu",
        torch_file(
            lambda w: names.substituted(
                names.mmpretrain(names.joined_gate(w, "w12")),
                ((r"mlp\.w12", "ffn.w12"), (r"ffn\.layers\.1\.", "ffn.w3.")),
            ),
            lambda s: {"meta": {}, "state_dict": s},
        ),
        "mmpretrain_vit",
        {**SWIGLU, **SCALED},
    ),
    ViTCase(
        "lightly_dino",
        lightning_file(
            lambda w: (
                prefixed(w, "backbone.vit.")
                | prefixed({n: a * 2 for n, a in w.items()}, "student_backbone.vit.")
                | junk("projection_head.layers.0.weight", "online_classifier.linear.weight")
            )
        ),
        "lightly_dino",
    ),
    ViTCase(
        "lightly_mae",
        lightning_file(
            lambda w: (
                prefixed(names.torchvision(w) | junk("heads.head.weight"), "backbone.")
                | junk("decoder.prediction_head.weight", "mask_token", "online_classifier.linear.weight")
            )
        ),
        "lightly_mae",
    ),
    ViTCase(
        "solo_learn_mae",
        lightning_file(
            lambda w: prefixed(w, "backbone.") | junk("decoder.decoder_embed.weight", "classifier.weight")
        ),
        "solo_learn_mae",
        {"embed_dim": 96, "mlp_dim": 128},
        {"num_heads": 12},
    ),
    ViTCase(
        "solo_learn_vit",
        lightning_file(
            lambda w: (
                prefixed(w, "backbone.")
                | prefixed({n: a * 2 for n, a in w.items()}, "momentum_backbone.")
                | junk("projector.0.weight", "classifier.weight")
            )
        ),
        "solo_learn_vit",
    ),
    ViTCase(
        "detectron2_vit",
        torch_file(vitdet, lambda s: {"model": s, "iteration": 9}),
        "detectron2_vit",
        {**NO_CLASS, "final_norm": False},
    ),
    ViTCase(
        "detectron2_vit-zeros",
        torch_file(lambda w: vitdet(w, zeros=True), lambda s: {"model": s}),
        "detectron2_vit",
        {**NO_CLASS, "final_norm": False},
    ),
    ViTCase(
        "lightning-mae",
        lightning_file(lambda w: prefixed(w | junk("decoder_embed.weight", "mask_token"), "model.")),
        "lightning",
    ),
)
IMAGES = {"image_mean": [0.25, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "do_normalize": True}
HUGGINGFACE: tuple[ViTCase, ...] = (
    ViTCase(
        "huggingface_vit",
        folder_file(lambda w: names.hf_vit(w) | junk("classifier.weight"), config("vit"), IMAGES),
        "huggingface_vit",
        {},
        TOLD,
        pixels=63.75,
    ),
    ViTCase(
        "huggingface_vit-file",
        torch_file(lambda w: names.hf_vit(w, "")),
        "huggingface_vit",
        {},
        {"norm_eps": 1e-12},
        pixels=127.5,
    ),
    ViTCase(
        "huggingface_vit-live",
        torch_file(lambda w: names.hf_vit(w, live=True)),
        "huggingface_vit",
        {},
        {"norm_eps": 1e-12},
        pixels=127.5,
    ),
    ViTCase(
        "huggingface_ijepa",
        folder_file(lambda w: names.hf_vit(w, ""), config("ijepa")),
        "huggingface_vit",
        NO_CLASS,
        TOLD,
        pixels=127.5,
    ),
    ViTCase(
        "huggingface_vit_mae",
        folder_file(
            lambda w: names.hf_vit(w) | junk("decoder.decoder_embed.weight", "decoder.mask_token"),
            config("vit_mae"),
        ),
        "huggingface_vit_mae",
        {},
        TOLD,
    ),
    ViTCase(
        "huggingface_dinov2",
        folder_file(lambda w: names.hf_dinov2(w) | junk("embeddings.mask_token"), config("dinov2")),
        "huggingface_dinov2",
        SCALED,
        TOLD,
    ),
    ViTCase(
        "huggingface_dinov2-live",
        torch_file(lambda w: names.hf_dinov2(w, live=True)),
        "huggingface_dinov2",
        SCALED,
        {"norm_eps": 1e-6},
    ),
    ViTCase(
        "huggingface_dinov2-g",
        folder_file(names.hf_dinov2, config("dinov2", use_swiglu_ffn=True)),
        "huggingface_dinov2",
        {**SCALED, **SWIGLU},
        {**TOLD, "activation": "silu"},
    ),
    ViTCase(
        "huggingface_dinov2-g-live",
        torch_file(lambda w: names.hf_dinov2(w, live=True)),
        "huggingface_dinov2",
        {**SCALED, **SWIGLU},
        {"activation": "silu"},
    ),
    ViTCase(
        "huggingface_dinov2_registers",
        folder_file(names.hf_dinov2, config("dinov2_with_registers")),
        "huggingface_dinov2_registers",
        {**SCALED, "registers": 4},
        {**TOLD, "pos_interpolation": "antialias"},
    ),
    ViTCase(
        "huggingface_dinov3",
        folder_file(
            lambda w: names.hf_dinov3(w) | junk("embeddings.mask_token"),
            config("dinov3_vit", rope_theta=50.0),
        ),
        "huggingface_dinov3",
        DINOV3,
        {**TOLD, "rope": "dinov3", "rope_base": 50.0},
        keyless=True,
    ),
    ViTCase(
        "huggingface_dinov3-live",
        torch_file(lambda w: names.hf_dinov3(w, live=True)),
        "huggingface_dinov3",
        DINOV3,
        {"rope": "dinov3", "rope_base": 100.0, "norm_eps": 1e-5},
        keyless=True,
    ),
    ViTCase(
        "huggingface_dinov3-gated",
        folder_file(names.hf_dinov3, config("dinov3_vit", hidden_act="silu")),
        "huggingface_dinov3",
        {**DINOV3, **SWIGLU},
        {"activation": "silu"},
        keyless=True,
    ),
    ViTCase(
        "huggingface_beit",
        folder_file(
            lambda w: names.hf_beit(w) | junk("lm_head.weight", "beit.embeddings.mask_token"), config("beit")
        ),
        "huggingface_beit",
        BEIT,
        TOLD,
        keyless=True,
        pixels=127.5,
    ),
    ViTCase(
        "huggingface_beit-live",
        torch_file(lambda w: names.hf_beit(w, live=True)),
        "huggingface_beit",
        BEIT,
        {"num_heads": SMALL_HEADS},
        keyless=True,
        pixels=127.5,
    ),
    ViTCase(
        "huggingface_beit-tuned",
        torch_file(
            lambda w: (
                names.hf_beit(w)
                | junk("classifier.weight", "beit.pooler.layernorm.weight", "beit.pooler.layernorm.bias")
            )
        ),
        "huggingface_beit",
        {**BEIT, "rel_pos": "per_block", "final_norm": False},
        {"num_heads": SMALL_HEADS},
        keyless=True,
        pixels=127.5,
    ),
    ViTCase(
        "huggingface_clip",
        folder_file(
            lambda w: names.hf_clip(w) | HF_TEXT,
            {"model_type": "clip", "vision_config": {"num_attention_heads": SMALL_HEADS}},
        ),
        "huggingface_clip",
        CLIP,
        {**QUICK, "num_heads": SMALL_HEADS},
        bare=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "huggingface_clip-vision",
        folder_file(lambda w: names.hf_clip(w, ""), config("clip_vision_model", hidden_act="gelu")),
        "huggingface_clip",
        CLIP,
        {**TOLD, "activation": "gelu"},
        bare=True,
        pixels=122.7709383,
    ),
    ViTCase(
        "huggingface_siglip",
        folder_file(
            lambda w: names.hf_clip(w) | prefixed(POOL, "vision_model.") | HF_TEXT,
            {"model_type": "siglip", "vision_config": config("siglip_vision_model")},
        ),
        "huggingface_siglip",
        NO_CLASS,
        {**TOLD, "activation": "gelu_tanh"},
        pixels=127.5,
    ),
    ViTCase(
        "huggingface_siglip-vision",
        torch_file(lambda w: names.hf_clip(w, "") | POOL),
        "huggingface_siglip",
        NO_CLASS,
        {"activation": "gelu_tanh"},
        pixels=127.5,
    ),
)
VIT_FOREIGN = LIBRARIES + HUGGINGFACE
