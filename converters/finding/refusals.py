"""Why a file without a complete ResNet cannot be converted: one row per kind of network met in practice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from converters.finding.accounting import Account

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Evidence:
    """All tensors of a file, by name without wrapper segments, and the account that came closest."""

    shapes: Mapping[str, Shape]
    best: Account | None
    foreign: tuple[str, ...] = ()
    segments: frozenset[str] = field(default_factory=frozenset)

    @staticmethod
    def of(shapes: Mapping[str, Shape], best: Account | None, foreign: tuple[str, ...]) -> Evidence:
        segments = frozenset(part for name in shapes for part in name.replace("/", ".").split("."))
        return Evidence(shapes, best, foreign, segments)

    def stem(self) -> Shape:
        """The shape of the closest candidate's first convolution, () if there is none."""
        return self.best.shapes.get("stem.conv1.weight", ()) if self.best else ()

    def missing(self, ending: str) -> int:
        return sum(name.endswith(ending) for name in self.best.missing) if self.best else 0


def _vision_transformer(e: Evidence) -> bool:
    words = {"patch_embed", "cls_token", "class_token", "conv_proj", "pos_embed", "patch_embeddings"}
    return bool(words & e.segments)


def _any_segment(*words: str) -> Callable[[Evidence], bool]:
    return lambda e: bool(set(words) & e.segments)


def _stem_kernel(size: int) -> Callable[[Evidence], bool]:
    return lambda e: len(e.stem()) == 4 and e.stem()[2:] == (size, size)


def _cmc(e: Evidence) -> bool:
    halves = any(name.startswith(("encoder1.", "encoder2.")) for name in e.shapes)
    return halves or (len(e.stem()) == 4 and e.stem()[1] in (1, 2))


def _deep_stem(e: Evidence) -> bool:
    names = e.shapes
    first = any(name.endswith(("conv1.0.weight", "stem.0.weight", "stem.conv2.weight")) for name in names)
    return first and (not e.stem() or e.stem()[2:] == (3, 3))


def _sharded(e: Evidence) -> bool:
    flat = any("flat_param" in part for part in e.segments)
    return flat or any("_shard" in name or "ShardedTensor" in name or "DTensor" in name for name in e.foreign)


def _average_down(e: Evidence) -> bool:
    return any(".downsample.2." in name for name in e.shapes)


def _basic_blocks(e: Evidence) -> bool:
    first = e.best.shapes.get("res2.0.conv1.weight", ()) if e.best else ()
    return len(first) == 4 and first[2:] == (3, 3)


def _no_statistics(e: Evidence) -> bool:
    return e.best is not None and e.missing(".running_mean") == e.missing(".running_var") >= 53


def _group_norm(e: Evidence) -> bool:
    return _no_statistics(e) and e.best is not None and e.best.candidate.dialect != "caffe2"


def _fused(e: Evidence) -> bool:
    return _no_statistics(e) and e.best is not None and e.best.candidate.dialect == "caffe2"


def _unknown_depth(e: Evidence) -> bool:
    return e.best is not None and len(e.best.shapes) > 250 and not e.best.known_depth


def _no_convolutions(e: Evidence) -> bool:
    return all(len(shape) < 4 for shape in e.shapes.values())


# From the particular to the general: the first row that holds is told.
REASONS: tuple[tuple[Callable[[Evidence], bool], str], ...] = (
    (
        _sharded,
        "a shard of an FSDP or DeepSpeed run: gather the full state dict first (FULL_STATE_DICT, "
        "torch.distributed.checkpoint.format_utils or zero_to_fp32.py)",
    ),
    (
        _any_segment("relative_position_bias_table", "relative_position_index"),
        "a Swin transformer, not a ResNet",
    ),
    (_any_segment("dwconv", "layer_scale", "depthwise_conv"), "a ConvNeXt, not a ResNet"),
    (_vision_transformer, "a vision transformer (ViT), not a ResNet"),
    (_cmc, "CMC's half networks, which see one or two colour channels (L and ab): no ResNet for RGB images"),
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
        "a ResNet with a deep stem of three 3x3 convolutions (C, D or S variant); Detectron2's has one 7x7",
    ),
    (_average_down, "a ResNet-D, which pools before the shortcut's convolution; Detectron2's does not"),
    (_stem_kernel(3), "a ResNet with the small-image (CIFAR) stem, a 3x3 convolution; Detectron2's is 7x7"),
    (_basic_blocks, "a ResNet-18/34 of basic blocks; the suites need bottleneck blocks (50, 101 or 152)"),
    (
        _fused,
        "Detectron 1's norms fused into affine maps: right for FrozenBN only, wrong once norms are trained; "
        "if FrozenBN is what you want, add --accept fused-bn",
    ),
    (_group_norm, "norms without running statistics (GroupNorm?); Detectron2's backbone needs BatchNorm's"),
    (
        _unknown_depth,
        "a ResNet of another depth; Detectron2 has 50 (3, 4, 6, 3), 101 (3, 4, 23, 3) and 152 (3, 8, 36, 3)",
    ),
    (_no_convolutions, "no convolutions: a head or linear classifier alone, not a backbone"),
)


def reason(evidence: Evidence) -> str:
    """One line: the kind of network where it is known, and always the difference to the nearest ResNet."""
    if not evidence.shapes:
        return "no tensors in this file; expected a checkpoint with a state dict"
    kind = next((text for holds, text in REASONS if holds(evidence)), "")
    difference = evidence.best.difference() if evidence.best else "no tensor has a ResNet's name"
    return f"{kind} ({difference})" if kind else f"no complete ResNet: {difference}"
