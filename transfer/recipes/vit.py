"""Describes Vision Transformers of any size and publisher: keys, facts and their limits."""

from __future__ import annotations

from typing import Any

from converters.models.vit_plain import PLAIN
from transfer.recipes.family import Family, by_rule
from transfer.recipes.rules import ABOVE, COUNT, NATURAL, SHARE, each, whole

SECTION = "MODEL.VIT"
BASE: dict[str, Any] = {  # ViT-B/16 as timm's `vit_base_patch16_224` has it, in 224 pixels
    "embed_dim": 768,
    "depth": 12,
    "num_heads": 12,
    "mlp_dim": 3072,
    "patch_size": 16,
    "pos_tokens": 197,
    **PLAIN,
    "pos_interpolation": "detectron2",
}
_BLOCK = whole(-999, 999)  # counted from the first, or from the end where negative

VIT = Family(
    name="ViT",
    stages=("tap1", "tap2", "tap3", "tap4"),
    facts=by_rule(SECTION, BASE),
    random=BASE,
    section=SECTION,
    numbers={
        **dict.fromkeys(("EMBED_DIM", "DEPTH", "MLP_DIM", "PATCH_SIZE", "NUM_HEADS"), COUNT),
        **dict.fromkeys(("POS_TOKENS", "REGISTERS", "REL_POS_GRID", "WINDOW"), NATURAL),
        **dict.fromkeys(("REL_POS_TOKENS", "REL_BIAS_TOKENS"), NATURAL),
        "POS_PREFIX": whole(0, 1),
        **dict.fromkeys(("NORM_EPS", "ROPE_BASE"), ABOVE),
        "DROP_PATH": SHARE,
        "TAPS": each(_BLOCK, "one to four numbers of blocks, negative ones from the end", (1, 2, 3, 4)),
        "GLOBAL_BLOCKS": each(_BLOCK, "a list of numbers of blocks, negative ones from the end", least=0),
    },
    choices={
        "MODEL.VIT.MLP": ("mlp", "swiglu"),
        "MODEL.VIT.ACTIVATION": ("gelu", "gelu_tanh", "quick_gelu", "silu"),
        "MODEL.VIT.REL_POS": ("", "shared", "per_block"),
        "MODEL.VIT.ROPE": ("", "dinov3", "eva02"),
        "MODEL.VIT.POS_INTERPOLATION": ("detectron2", "offset", "antialias", "bilinear"),
    },
    outputs="MODEL.VIT.TAPS",
    patch="MODEL.VIT.PATCH_SIZE",
    final_norm=("MODEL.VIT.NORM_TAPS", r"norm\..*"),
)
