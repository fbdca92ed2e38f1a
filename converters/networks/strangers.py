"""Lists networks that are of no family, told by a name that no family's file has, whichever came closest."""

from __future__ import annotations

from collections.abc import Callable

from converters.networks.family import Evidence, Refusal


def _inside(*words: str) -> Callable[[Evidence], bool]:
    return lambda e: any(word in f".{name}." for name in e.shapes for word in words)


# From the particular to the general: the first row that holds is told.
STRANGERS: tuple[Refusal, ...] = (
    (
        _inside(".attn.logit_scale.", ".cpb_mlp.", ".meta_mlp.", ".continuous_position_bias_mlp."),
        "a Swin V2, which scales cosines and computes its position bias: another function than Swin's",
    ),
    (_inside(".moe_layer.", ".experts."), "a network with experts, of which a token sees a few alone"),
    (
        _inside(
            ".attn_block.",
            ".attn_grid.",
            ".mbconv_layer.",
            ".conv2_kxk.",
            ".grid_attention.",
            ".shortcut.expand.",
        ),
        "a MaxViT or CoAtNet, which mixes convolutions with attention",
    ),
    (
        lambda e: any(f".{name}".endswith(".blocks.0.dwconv.weight") for name in e.shapes),
        "an isotropic ConvNeXt, which has one stage of patches of 16 pixels: no maps at strides 4 to 32",
    ),
)
