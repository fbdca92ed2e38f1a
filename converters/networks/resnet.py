"""Which tensors a bottleneck ResNet has in Detectron2's vocabulary, and which ResNet a set of shapes is.

Names are relative to the backbone ("stem.conv1.weight", "res2.0.conv1.norm.bias"): Detectron2 matches by the
longest dotted suffix, so one file serves C4, where res5 lives under `roi_heads`, and FPN, where all is under
`bottom_up`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from types import MappingProxyType

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # bottleneck blocks of res2..res5
NORM_PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class Architecture:
    """The five numbers of Detectron2's config that fix every shape of a bottleneck ResNet."""

    depth: int = 50
    groups: int = 1
    width_per_group: int = 64
    stem_out_channels: int = 64
    res2_out_channels: int = 256

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """As `expected_shapes`; shared between calls, so not to be changed."""
        return _shapes(self)


def expected_shapes(
    depth: int = 50,
    groups: int = 1,
    width_per_group: int = 64,
    stem_out_channels: int = 64,
    res2_out_channels: int = 256,
) -> dict[str, tuple[int, ...]]:
    """Every tensor name of that ResNet with its shape, in network order; 318 names for ResNet-50.

    Raises ValueError for a depth without bottleneck blocks in Detectron2.
    """
    if depth not in BLOCKS:
        raise ValueError(f"depth {depth} is not a bottleneck ResNet; expected one of {sorted(BLOCKS)}")
    shapes: dict[str, tuple[int, ...]] = {}

    def add(conv: str, out_channels: int, in_channels: int, kernel: int) -> None:
        shapes[f"{conv}.weight"] = (out_channels, in_channels, kernel, kernel)
        for part in NORM_PARTS:
            shapes[f"{conv}.norm.{part}"] = () if part == "num_batches_tracked" else (out_channels,)

    add("stem.conv1", stem_out_channels, 3, 7)
    in_channels = stem_out_channels
    for stage, blocks in enumerate(BLOCKS[depth]):
        out_channels = res2_out_channels << stage
        bottleneck = (groups * width_per_group) << stage
        for block in range(blocks):
            here = f"res{stage + 2}.{block}"
            if block == 0:
                add(f"{here}.shortcut", out_channels, in_channels, 1)
            add(f"{here}.conv1", bottleneck, in_channels, 1)
            add(f"{here}.conv2", bottleneck, bottleneck // groups, 3)
            add(f"{here}.conv3", out_channels, bottleneck, 1)
            in_channels = out_channels
    return shapes


@lru_cache(maxsize=64)  # a hostile file can ask for many
def _shapes(architecture: Architecture) -> Mapping[str, tuple[int, ...]]:
    return MappingProxyType(expected_shapes(**asdict(architecture)))


def blocks_per_stage(names: Iterable[str]) -> tuple[int, ...]:
    """How many blocks res2..res5 have, (3, 4, 6, 3) for ResNet-50."""
    blocks = {tuple(name.split(".")[:2]) for name in names if name.startswith("res")}
    return tuple(sum(block[0] == f"res{stage}" for block in blocks) for stage in (2, 3, 4, 5))


def closest_architecture(shapes: Mapping[str, tuple[int, ...]]) -> Architecture:
    """The ResNet that best explains these Detectron2-named shapes; what cannot be read keeps ResNet-50's
    value.

    It is a guess to compare with: the caller must still hold `shapes` against `Architecture.shapes()`.
    """
    counts = blocks_per_stage(shapes)
    depth = min(BLOCKS, key=lambda d: sum(abs(a - b) for a, b in zip(BLOCKS[d], counts, strict=True)))

    def size(name: str, axis: int, default: int) -> int:
        shape = shapes.get(name, ())
        return shape[axis] if len(shape) == 4 and shape[axis] > 0 else default

    bottleneck = size("res2.0.conv2.weight", 0, size("res2.0.conv1.weight", 0, 64))
    per_group_in = size("res2.0.conv2.weight", 1, bottleneck)
    groups = bottleneck // per_group_in if bottleneck % per_group_in == 0 else 1
    return Architecture(
        depth=depth,
        groups=groups,
        width_per_group=bottleneck // groups,
        stem_out_channels=size("stem.conv1.weight", 0, 64),
        res2_out_channels=size("res2.0.conv3.weight", 0, 256),
    )
