"""Lists transformers met in practice that this family does not hold, each with its reason."""

from __future__ import annotations

from collections.abc import Callable

from converters.networks.family import Evidence, Refusal

HYBRID = "a hybrid of a ResNet and a ViT: its patches are features, not pixels"


def _ends(*endings: str) -> Callable[[Evidence], bool]:
    return lambda e: any(name.endswith(endings) for name in e.shapes)


def _segment(*words: str) -> Callable[[Evidence], bool]:
    return lambda e: bool(set(words) & e.segments)


def _flat_patches(e: Evidence) -> bool:
    return len(e.found.get("patch_embed.proj.weight", (0, 0, 0, 0))) == 2


def _swin(e: Evidence) -> bool:
    windows = any(name.endswith("relative_position_bias_table") for name in e.shapes)
    return windows and not any(".blocks." in f".{name}" and "layers" not in name for name in e.shapes)


# From the particular to the general: the first row that holds is told.
REFUSALS: tuple[Refusal, ...] = (
    (
        _ends("patch_embed.proj.0.weight"),
        "a ViT with a convolutional stem (MoCo v3's vit_conv_*), which has other patches than a ViT",
    ),
    (_segment("local_mp", "cls_attn_blocks"), "an XCiT, whose attention is over channels; not a ViT"),
    (
        _ends("patch_embed.backbone.conv1.weight", "patch_embed.backbone.stem.conv.weight"),
        HYBRID,
    ),
    (_flat_patches, "a ViT for images of any size (NaFlex), whose patches are flat vectors"),
    (_segment("rel_pos", "rel_pos_mlp", "shared_rel_pos"), "a ViT with timm's own relative positions"),
    (
        lambda e: "norm_pre.weight" in e.found and "attn_pool" in e.segments,
        "a Perception Encoder in timm's form, whose rotary positions are not in the file",
    ),
    (
        lambda e: any(name.endswith(".attn.qkv.bias") for name in e.missing) and len(e.missing) > 1,
        "queries without bias beside a table of positions: timm's residual post-norm networks",
    ),
    (
        _segment("freqs", "freqs_cis"),
        "a ViT with learned or stored rotary frequencies, which are not known here",
    ),
    (_swin, "a Swin transformer, not a ViT"),
    (_segment("dwconv", "layer_scale", "depthwise_conv"), "a ConvNeXt, not a ViT"),
    (
        _segment("class_token", "conv_proj", "patch_embeddings", "patch_embed"),
        "a vision transformer (ViT) that is not whole, or of a kind that is not known here",
    ),
)
