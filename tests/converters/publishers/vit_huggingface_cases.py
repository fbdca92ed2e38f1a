"""Files of transformers' vision transformers."""

from __future__ import annotations

from tests.converters import vit_foreign_names as names
from tests.converters.publishers.vit_foreign_files import (
    BEIT,
    CLIP,
    DINOV3,
    HF_TEXT,
    NO_CLASS,
    POOL,
    QUICK,
    SCALED,
    SMALL_HEADS,
    SWIGLU,
    TOLD,
    ViTCase,
    config,
    folder_file,
    junk,
    prefixed,
    torch_file,
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
