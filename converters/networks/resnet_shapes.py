"""Lists the tensors of a ResNet by Detectron2's names, and tells which ResNet has given shapes.

Names are relative to the backbone ("stem.conv1.weight", "res2.0.conv1.norm.bias"). Detectron2 matches by the
longest dotted suffix, so one file serves C4, where res5 lives under `roi_heads`, as well as FPN and DC5,
where all is under `bottom_up`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from converters.models.resnet_depths import BASIC, BLOCKS, BOTTLENECK
from converters.networks.family import Fact, Facts, Shape, Shapes

NORM_PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
PLAIN, DEEP = "7x7", "deep"
# The five numbers of Detectron2's config that fix every shape, and the stem; usual is ResNet-50. Basic blocks
# have one group, and inside as many channels as outside: their width per group is that of res2.
FACTS = (
    Fact("depth", int, 50, "depth"),
    Fact("groups", int, 1, "groups"),
    Fact("width_per_group", int, 64, "width per group"),
    Fact("stem_out_channels", int, 64, "stem channels"),
    Fact("res2_out_channels", int, 256, "res2 channels"),
    # One 7x7 convolution, or three 3x3, the first two half as wide (He et al., arXiv 1812.01187, C).
    Fact("stem", str, PLAIN, "stem", later=True),
)


def shapes(facts: Facts) -> Shapes:
    """As `expected_shapes`, of a manifest or any table with FACTS; shared between calls and read-only."""
    return _shapes(*(facts.get(fact.key, fact.usual) if fact.later else facts[fact.key] for fact in FACTS))


@lru_cache(maxsize=64)  # a hostile file can ask for many
def _shapes(*values: Any) -> Shapes:
    return MappingProxyType(expected_shapes(*values))


def expected_shapes(
    depth: int = 50,
    groups: int = 1,
    width_per_group: int = 64,
    stem_out_channels: int = 64,
    res2_out_channels: int = 256,
    stem: str = PLAIN,
) -> dict[str, Shape]:
    """Every tensor name of that ResNet with its shape, in network order; 318 names for ResNet-50.

    Raises ValueError for a depth that is not in the table, for a width below 1, and for basic blocks with
    groups or a width of their own.
    """
    if depth not in BLOCKS:
        raise ValueError(f"depth {depth} is no ResNet's; expected one of {sorted(BLOCKS)}")
    if depth in BASIC and (groups, width_per_group) != (1, res2_out_channels):
        raise ValueError(
            f"depth {depth} has basic blocks; expected 1 group as wide as res2 ({res2_out_channels} "
            f"channels), got {groups} of {width_per_group}"
        )
    if min(groups, width_per_group, stem_out_channels, res2_out_channels) < 1:
        raise ValueError("groups, widths and channels are counts; expected 1 or more")
    if stem not in (PLAIN, DEEP) or (stem == DEEP and stem_out_channels < 2):
        raise ValueError(f"stem {stem!r:.60}; expected {PLAIN}, or {DEEP} with two channels or more")
    found: dict[str, Shape] = {}

    def add(conv: str, out_channels: int, in_channels: int, kernel: int) -> None:
        found[f"{conv}.weight"] = (out_channels, in_channels, kernel, kernel)
        for part in NORM_PARTS:
            found[f"{conv}.norm.{part}"] = () if part == "num_batches_tracked" else (out_channels,)

    if stem == PLAIN:
        add("stem.conv1", stem_out_channels, 3, 7)
    else:
        half = stem_out_channels // 2
        add("stem.conv1", half, 3, 3)
        add("stem.conv2", half, half, 3)
        add("stem.conv3", stem_out_channels, half, 3)
    in_channels = stem_out_channels
    for stage, blocks in enumerate(BLOCKS[depth]):
        out_channels = res2_out_channels << stage
        bottleneck = (groups * width_per_group) << stage
        for block in range(blocks):
            here = f"res{stage + 2}.{block}"
            if block == 0 and (depth in BOTTLENECK or in_channels != out_channels):
                add(f"{here}.shortcut", out_channels, in_channels, 1)
            if depth in BASIC:
                add(f"{here}.conv1", out_channels, in_channels, 3)
                add(f"{here}.conv2", out_channels, out_channels, 3)
            else:
                add(f"{here}.conv1", bottleneck, in_channels, 1)
                add(f"{here}.conv2", bottleneck, bottleneck // groups, 3)
                add(f"{here}.conv3", out_channels, bottleneck, 1)
            in_channels = out_channels
    return found


def blocks_per_stage(names: Iterable[str]) -> tuple[int, ...]:
    """How many blocks res2..res5 have, (3, 4, 6, 3) for ResNet-50."""
    blocks = {tuple(name.split(".")[:2]) for name in names if name.startswith("res")}
    return tuple(sum(block[0] == f"res{stage}" for block in blocks) for stage in (2, 3, 4, 5))


def closest(found: Shapes) -> dict[str, Any]:
    """The facts of the ResNet that best explains shapes by our names; what is not there is as usual.

    It is a guess to compare with: the caller must still hold `found` against `shapes` of it.
    """
    usual = {fact.key: fact.usual for fact in FACTS}
    counts = blocks_per_stage(found)
    basic = found.get("res2.0.conv1.weight", ())[2:] == (3, 3)
    kind = BASIC if basic else BOTTLENECK
    depth = min(kind, key=lambda d: sum(abs(a - b) for a, b in zip(kind[d], counts, strict=True)))

    def size(name: str, axis: int, default: int) -> int:
        shape = found.get(name, ())
        return shape[axis] if len(shape) == 4 and shape[axis] > 0 else default

    deep = "stem.conv3.weight" in found
    stem = size(f"stem.conv{3 if deep else 1}.weight", 0, usual["stem_out_channels"])
    deep = deep and stem > 1
    kind_of_stem = DEEP if deep else PLAIN
    if basic:
        width = size("res2.0.conv1.weight", 0, stem)
        return dict(zip(usual, (depth, 1, width, stem, width, kind_of_stem), strict=True))
    first = size("res2.0.conv1.weight", 0, usual["groups"] * usual["width_per_group"])
    bottleneck = size("res2.0.conv2.weight", 0, first)
    per_group_in = size("res2.0.conv2.weight", 1, bottleneck)
    groups = bottleneck // per_group_in if bottleneck % per_group_in == 0 else 1
    return {
        "depth": depth,
        "groups": groups,
        "width_per_group": bottleneck // groups,
        "stem_out_channels": stem,
        "res2_out_channels": size("res2.0.conv3.weight", 0, usual["res2_out_channels"]),
        "stem": kind_of_stem,
    }
