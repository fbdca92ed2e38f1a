"""Lists the rows for transformers' vision transformers; config.json says what differs from them."""

from __future__ import annotations

from converters.publishers.row import HALF, IMAGENET, OPENAI, SINGLE, Layout, Pixels, Source

MODELS = "huggingface/transformers models"


def _row(  # parameters: each is a column of the table
    name: str,
    title: str,
    places: tuple[tuple[str, tuple[str, ...]], ...],
    file: str,
    pixels: Pixels,
    facts: tuple[tuple[str, object], ...],
    dropped: str,
    dialects: tuple[str, ...] = (),
) -> Source:
    return Source(
        name,
        f"HuggingFace {title}, folder or file",
        tuple(Layout("", prefix, SINGLE, markers) for prefix, markers in places),
        f"{MODELS}/{file}",
        dropped=dropped,
        dialects=dialects or (name, f"{name}_live"),
        pixels=pixels,
        facts=facts,
        config=True,
        note="config.json tells heads, epsilon and activation, preprocessor_config.json pixels",
    )


REGISTERS = ("embeddings.register_tokens",)
CLASSIC = (("norm_eps", 1e-12),)
VIT_HUGGINGFACE: tuple[Source, ...] = (
    _row(
        "huggingface_vit_mae",
        "ViTMAE",
        (("vit.", ("decoder.decoder_embed.*",)),),
        "vit_mae/modeling_vit_mae.py",
        IMAGENET,
        CLASSIC,
        "decoder",
        ("huggingface_vit", "huggingface_vit_live"),
    ),
    _row(
        "huggingface_vit",
        "ViT",
        (("vit.", ()), ("", ())),
        "vit/modeling_vit.py",
        HALF,
        CLASSIC,
        "pooler, classifier",
    ),
    _row(
        "huggingface_dinov2_registers",
        "DINOv2 with registers",
        (("", REGISTERS), ("dinov2_with_registers.", tuple(f"dinov2_with_registers.{n}" for n in REGISTERS))),
        "dinov2_with_registers/modeling_dinov2_with_registers.py",
        IMAGENET,
        (("pos_interpolation", "antialias"),),
        "mask_token, classifier",
        ("huggingface_dinov2", "huggingface_dinov2_live"),
    ),
    _row(
        "huggingface_dinov2",
        "DINOv2",
        (("", ()), ("dinov2.", ())),
        "dinov2/modeling_dinov2.py",
        IMAGENET,
        (),
        "mask_token, classifier",
    ),
    _row(
        "huggingface_dinov3",
        "DINOv3 ViT",
        (("", ()),),
        "dinov3_vit/modeling_dinov3_vit.py",
        IMAGENET,
        (),
        "mask_token",
        ("huggingface_dinov3", "huggingface_dinov3_gated"),
    ),
    _row(
        "huggingface_beit",
        "BEiT",
        (("", ()),),
        "beit/modeling_beit.py",
        HALF,
        CLASSIC,
        "mask_token, lm_head, pooler, classifier",
    ),
    _row(
        "huggingface_clip",
        "CLIP, its vision tower",
        (("vision_model.", ("vision_model.pre_layrnorm.*",)), ("", ("pre_layrnorm.*",))),
        "clip/modeling_clip.py",
        OPENAI,
        (("activation", "quick_gelu"), ("norm_eps", 1e-5)),
        "text_model, text_projection, visual_projection, logit_scale",
        ("huggingface_clip",),
    ),
    _row(
        "huggingface_siglip",
        "SigLIP and SigLIP 2, its vision tower",
        (("vision_model.", ("!vision_model.pre_layrnorm.*",)), ("", ("!pre_layrnorm.*",))),
        "siglip/modeling_siglip.py",
        HALF,
        (("activation", "gelu_tanh"),),
        "text_model, vision_model.head (the pool), logit_scale, logit_bias",
        ("huggingface_clip",),
    ),
)
