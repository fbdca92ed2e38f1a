"""Files of the vision towers of CLIP and SigLIP, but for transformers'."""

from __future__ import annotations

from pathlib import Path

from tests.converters import vit_foreign_names as names
from tests.converters import vit_npz as npz
from tests.converters.publishers.vit_foreign_files import (
    CLIP,
    NO_CLASS,
    QUICK,
    SCALED,
    SMALL_HEADS,
    TANH,
    TEXT,
    ViTCase,
    Weights,
    folder_file,
    half,
    junk,
    npz_file,
    prefixed,
    torch_file,
)

NUMBERS = junk("input_resolution", "context_length", "vocab_size")


def open_clip_folder(weights: Weights, folder: Path) -> Path:
    model = {"embed_dim": 5, "quick_gelu": True, "vision_cfg": {"width": 64, "layers": 2, "head_width": 16}}
    beside = {"model_cfg": model, "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 0.5]}}
    make = folder_file(lambda w: names.clip(w) | TEXT, beside, name="open_clip_model.safetensors")
    return make(weights, folder)


TOWERS: tuple[ViTCase, ...] = (
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
)
