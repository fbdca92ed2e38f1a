"""Lists the rows of the publishers' table for vision transformers, of the code that came with a paper."""

from __future__ import annotations

from converters.publishers.row import ANY, INFERRED, SINGLE, STATED, Layout, Source

TIMM = ("timm", "timm_packed")

VIT_METHODS: tuple[Source, ...] = (
    Source(
        "mae",
        "MAE",
        (
            Layout("model", "", SINGLE, ("decoder_embed.weight",)),
            Layout("model", "", SINGLE, ("@sincos_mae",)),
            Layout(ANY, ANY, SINGLE, ("@sincos_mae",)),
            Layout("model", "", SINGLE, ("fc_norm.weight", "head.weight")),
            Layout("model", "", SINGLE, (STATED,)),
        ),
        "facebookresearch/mae models_mae.py, models_vit.py, README.md",
        dropped="decoder_*, mask_token; fine-tuned: head, fc_norm",
        dialects=TIMM,
        note="its positions show it: sines and cosines, and zeros for the class token",
    ),
    Source(
        "timm_vit",
        "timm's vision transformers",
        (Layout(ANY, "", SINGLE, (STATED,)),),
        "huggingface/pytorch-image-models timm/models/vision_transformer.py",
        dropped="head, fc_norm, attn_pool",
        dialects=TIMM,
        status=INFERRED,
        note="pixels are not in the file, ImageNet's are taken: AugReg's are those of `--source augreg`",
    ),
)
