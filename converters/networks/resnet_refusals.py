"""Lists networks met in practice that are no ResNet of Detectron2, each with its reason."""

from __future__ import annotations

from collections.abc import Callable

from converters.models.resnet_depths import BLOCKS
from converters.networks.family import Evidence, Refusal, Shape
from converters.networks.resnet_shapes import blocks_per_stage, closest, shapes

ALMOST_ALL = 250  # of its 318 tensors


def _stem(e: Evidence) -> Shape:
    """The shape of the closest candidate's first convolution, () if there is none."""
    return e.found.get("stem.conv1.weight", ())


def _any_segment(*words: str) -> Callable[[Evidence], bool]:
    return lambda e: bool(set(words) & e.segments)


def _stem_kernel(size: int) -> Callable[[Evidence], bool]:
    return lambda e: len(_stem(e)) == 4 and _stem(e)[2:] == (size, size)


def _half_networks(e: Evidence) -> bool:
    halves = any(name.startswith(("encoder1.", "encoder2.")) for name in e.shapes)
    return halves or (len(_stem(e)) == 4 and _stem(e)[1] in (1, 2))


def _deep_stem(e: Evidence) -> bool:
    endings = ("conv1.0.weight", "stem.0.weight", "stem.conv2.weight")
    return any(name.endswith(endings) for name in e.shapes) and (not _stem(e) or _stem(e)[2:] == (3, 3))


def _average_down(e: Evidence) -> bool:
    return any(".downsample.2." in name for name in e.shapes)


def _no_statistics(e: Evidence) -> bool:
    means, variances = (
        sum(name.endswith(part) for name in e.missing) for part in (".running_mean", ".running_var")
    )
    expected = sum(name.endswith(".running_mean") for name in shapes(closest(e.found)))
    return means == variances == expected


def _group_norm(e: Evidence) -> bool:
    return _no_statistics(e) and e.dialect != "caffe2"


def _fused(e: Evidence) -> bool:
    return _no_statistics(e) and e.dialect == "caffe2"


def _unknown_depth(e: Evidence) -> bool:
    return len(e.found) > ALMOST_ALL and blocks_per_stage(e.found) not in BLOCKS.values()


# From the particular to the general: the first row that holds is told.
REFUSALS: tuple[Refusal, ...] = (
    (
        _any_segment("relative_position_bias_table", "relative_position_index"),
        "a Swin transformer, not a ResNet",
    ),
    (_any_segment("dwconv", "layer_scale", "depthwise_conv"), "a ConvNeXt, not a ResNet"),
    (
        _any_segment("patch_embed", "cls_token", "class_token", "conv_proj", "pos_embed", "patch_embeddings"),
        "a vision transformer (ViT), not a ResNet",
    ),
    (
        _half_networks,
        "CMC's half networks, which see one or two colour channels (L and ab): no ResNet for RGB images",
    ),
    (
        _any_segment("main_conv", "mixing_conv"),
        "a ResNet with selective kernels (SK), which Detectron2 lacks",
    ),
    (
        _any_segment("se", "se_module", "se_layer"),
        "a ResNet with squeeze and excitation (SE), which Detectron2 lacks",
    ),
    (_any_segment("eca"), "a ResNet with channel attention (ECA), which Detectron2 lacks"),
    (
        _deep_stem,
        "a ResNet with a deep stem of another kind: expected timm's names, and the first two of three 3x3 "
        "convolutions half as wide as the third",
    ),
    (
        _average_down,
        "shortcuts that pool, as a ResNet-D's, without its deep stem: of no publisher known here",
    ),
    (_stem_kernel(3), "a ResNet with the small-image (CIFAR) stem, a 3x3 convolution; Detectron2's is 7x7"),
    (
        _fused,
        "Detectron 1's norms fused into affine maps: right for FrozenBN only, wrong once norms are trained; "
        "if FrozenBN is what you want, add --accept fused-bn",
    ),
    (_group_norm, "norms without running statistics (GroupNorm?); Detectron2's backbone needs BatchNorm's"),
    (
        _unknown_depth,
        "a ResNet of another depth; expected 18 (2, 2, 2, 2), 34 or 50 (3, 4, 6, 3), 101 (3, 4, 23, 3) or "
        "152 (3, 8, 36, 3)",
    ),
)
