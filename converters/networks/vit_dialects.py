"""Lists the dialects of vision transformers whose names are timm's, but for some tensors."""

from __future__ import annotations

from converters.networks.vit_joints import Split
from converters.networks.vit_names import PARTS, ViTDialect

TIMM = ViTDialect(
    name="timm",
    about="timm's VisionTransformer, and MAE, MoCo v3, DINO, iBOT, DeiT and I-JEPA, which copy its names",
    outside=(("register_tokens", "reg_token"), ("register_tokens", "register_tokens")),
)
PACKED = ViTDialect(
    name="timm_packed",
    about="timm's, with both halves of a gated MLP in `fc1` (SwiGLUPacked: DINOv2's giant)",
    outside=TIMM.outside,
    in_block=tuple((f"mlp.fc1_packed.{part}", f"mlp.fc1.{part}") for part in PARTS),
    joints=tuple(
        Split(f"mlp.fc1_packed.{part}", (f"mlp.fc1_g.{part}", f"mlp.fc1_x.{part}")) for part in PARTS
    ),
)
TIMM_LIKE = (TIMM, PACKED)
