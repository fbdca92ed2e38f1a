"""Lists the dialects of vision transformers whose names are timm's, but for some tensors."""

from __future__ import annotations

from converters.networks.family import ASIDE
from converters.networks.vit_beit import GAMMAS, INDEX, KEYS_UNBIASED, BEiTDialect
from converters.networks.vit_dinov3 import MASK, TOKENS, DINOv3Dialect, TimmDINOv3Dialect
from converters.networks.vit_joints import halves
from converters.networks.vit_names import BESIDE, PARTS, ViTDialect
from converters.networks.vit_tokens import PlacedDialect, UnplacedDialect

REGISTERS = (("register_tokens", "reg_token"), ("register_tokens", "register_tokens"))


def _called(ours: str, *theirs: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"{ours}.{part}", f"{name}.{part}") for name in theirs for part in PARTS)


TIMM = ViTDialect(
    name="timm",
    about="timm's VisionTransformer, and MAE, MoCo v3, DINO, iBOT, DeiT and I-JEPA, which copy its names",
    outside=REGISTERS,
)
TIMM_LIKE: tuple[ViTDialect, ...] = (
    TIMM,
    ViTDialect(
        name="timm_packed",
        about="timm's, with both halves of a gated MLP in `fc1` (SwiGLUPacked: DINOv2's giant)",
        outside=REGISTERS,
        in_block=_called("mlp.fc1_packed", "mlp.fc1"),
        joints=halves("mlp.fc1_packed"),
    ),
    PlacedDialect(
        name="placed",
        about="timm's, with positions for further tokens: distilled DeiT's `dist_token`, registers",
        outside=(("placed_tokens", "dist_token"), ("placed_tokens", "reg_token")),
    ),
    UnplacedDialect(
        name="deit3",
        about="DeiT III: `gamma_1` and `gamma_2`, a class token without position",
        in_block=GAMMAS,
    ),
    BEiTDialect(
        name="beit",
        about="BEiT: biases of queries and values, `gamma_1` and `gamma_2`, relative positions",
        beside=(
            *BESIDE,
            (f"*{INDEX}", "checked: it follows from the size of the window"),
            ("cls_pt_layers.*", "the shallow head of BEiT v2's pre-training"),
        ),
        in_block=(*GAMMAS, (f"{ASIDE}index", f"attn.{INDEX}")),
        outside=((f"{ASIDE}index", f"rel_pos_bias.{INDEX}"),),
        joints=KEYS_UNBIASED,
    ),
    ViTDialect(
        name="dinov2",
        about="DINOv2: blocks may be in chunks (`blocks.0.3.` is block 3), gated MLPs are `w12` and `w3`",
        outside=REGISTERS,
        in_block=_called("mlp.fc2", "mlp.w3", "mlp.fc2"),
        joints=halves("mlp.w12"),
        chunks=8,
    ),
    DINOv3Dialect(
        name="dinov3",
        about="DINOv3: `storage_tokens`, rotary positions, a mask over the biases, gated MLPs are `w1 w2 w3`",
        beside=(
            *BESIDE,
            ("local_cls_norm.*", "the norm of small crops' class token in pre-training"),
            ("rope_embed.periods", "checked: they follow from their base"),
        ),
        outside=TOKENS,
        in_block=(
            (MASK, MASK),
            *_called("mlp.fc1_g", "mlp.w1"),
            *_called("mlp.fc1_x", "mlp.w2"),
            *_called("mlp.fc2", "mlp.w3", "mlp.fc2"),
        ),
    ),
    TimmDINOv3Dialect(
        name="timm_dinov3",
        about="timm's DINOv3, in which nothing shows the rotary positions, without bias",
        outside=REGISTERS,
        in_block=GAMMAS,
    ),
    TimmDINOv3Dialect(
        name="timm_dinov3_qkvb",
        about="timm's DINOv3 with biases of queries and values",
        outside=REGISTERS,
        in_block=GAMMAS,
        joints=KEYS_UNBIASED,
    ),
)
