"""Lists how each publisher's code names the tensors of a ResNet: one row of templates per dialect.

A template is filled with the indices below for every convolution of the network. This gives an exact
dictionary from a foreign name to Detectron2's, without any pattern: `bn1` is never found inside `bn10`.

  L l   stage 1..4, 0..3                  r     Detectron2's stage 2..5
  i b   block in the stage, 0.., 1..      q     place in a list of children, 4..7
  j k a convolution 1..3, 0..2, a..c      c n   place in a flat list: 0 2 4, 1 3 5
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from converters.models.resnet_depths import BLOCKS
from converters.networks.family import Dialect, Fact, Facts, Shapes
from converters.networks.resnet_shapes import NORM_PARTS

Parts = tuple[tuple[str, ...], ...]  # for each of NORM_PARTS, the names that it goes by
AVG_DOWN = Fact("avg_down", bool, False, "pooled shortcuts", later=True)  # average, before a strided one
PLAIN_PARTS: Parts = tuple((part,) for part in NORM_PARTS)


@dataclass(frozen=True, kw_only=True)
class ResNetDialect(Dialect):
    """Templates of the six kinds of tensors; `{p}` is the norm's part."""

    stem: str
    stem_norm: str
    conv: str
    norm: str
    shortcut: str
    shortcut_norm: str
    parts: Parts = PLAIN_PARTS
    deep: tuple[tuple[str, str], ...] = ()  # the second and third convolution of a deep stem, and their norms
    avg_down: bool = False  # shortcuts pool before their convolution

    def told(self, found: Shapes) -> Facts:
        """Whether shortcuts pool: it shows in the names alone."""
        return {AVG_DOWN.key: self.avg_down}

    def vocabulary(self) -> Mapping[str, str]:
        """Foreign name -> relative Detectron2 name, for the deepest network of each stage."""
        return _vocabulary(self)

    def templates(self) -> Mapping[str, str]:
        """Column -> template, for the page of checkpoints."""
        return {
            "Stem": self.stem,
            "Convolution": self.conv,
            "Norm": self.norm,
            "Shortcut": self.shortcut,
        }


DIALECTS: tuple[ResNetDialect, ...] = (
    ResNetDialect(
        "torchvision",
        "torchvision.models.resnet, and everything that subclasses or copies it",
        stem="conv1.weight",
        stem_norm="bn1.{p}",
        conv="layer{L}.{i}.conv{j}.weight",
        norm="layer{L}.{i}.bn{j}.{p}",
        shortcut="layer{L}.0.downsample.0.weight",
        shortcut_norm="layer{L}.0.downsample.1.{p}",
    ),
    ResNetDialect(
        "detectron2",
        "Detectron2, relative or full names",
        stem="stem.conv1.weight",
        stem_norm="stem.conv1.norm.{p}",
        conv="res{r}.{i}.conv{j}.weight",
        norm="res{r}.{i}.conv{j}.norm.{p}",
        shortcut="res{r}.0.shortcut.weight",
        shortcut_norm="res{r}.0.shortcut.norm.{p}",
        # The zoo's torchvision file keeps the classifier. The norm behind res5 in MoCo's C4 head has names
        # of its own and is no part of a backbone.
        silent=("stem.fc.weight", "stem.fc.bias"),
    ),
    ResNetDialect(
        "shortcut",
        "torchvision's names with `shortcut` for `downsample` (SupContrast, lightly's own nets)",
        stem="conv1.weight",
        stem_norm="bn1.{p}",
        conv="layer{L}.{i}.conv{j}.weight",
        norm="layer{L}.{i}.bn{j}.{p}",
        shortcut="layer{L}.0.shortcut.0.weight",
        shortcut_norm="layer{L}.0.shortcut.1.{p}",
    ),
    ResNetDialect(
        "children",
        "nn.Sequential(*list(resnet.children())[:-1]): children by number",
        stem="0.weight",
        stem_norm="1.{p}",
        conv="{q}.{i}.conv{j}.weight",
        norm="{q}.{i}.bn{j}.{p}",
        shortcut="{q}.0.downsample.0.weight",
        shortcut_norm="{q}.0.downsample.1.{p}",
    ),
    ResNetDialect(
        "obow",
        "OBoW: torchvision's stages in a numbered list of blocks, 0 being the stem",
        stem="_feature_blocks.0.Conv.weight",
        stem_norm="_feature_blocks.0.bn.{p}",
        conv="_feature_blocks.{L}.{i}.conv{j}.weight",
        norm="_feature_blocks.{L}.{i}.bn{j}.{p}",
        shortcut="_feature_blocks.{L}.0.downsample.0.weight",
        shortcut_norm="_feature_blocks.{L}.0.downsample.1.{p}",
    ),
    ResNetDialect(
        "pycls",
        "pycls' ResNet",
        stem="stem.conv.weight",
        stem_norm="stem.bn.{p}",
        conv="s{L}.b{b}.f.{a}.weight",
        norm="s{L}.b{b}.f.{a}_bn.{p}",
        shortcut="s{L}.b1.proj.weight",
        shortcut_norm="s{L}.b1.bn.{p}",
    ),
    ResNetDialect(
        "simclr_v2",
        "the PyTorch port of SimCLR v2",
        stem="net.0.0.weight",
        stem_norm="net.0.1.0.{p}",
        conv="net.{L}.blocks.{i}.net.{c}.weight",
        norm="net.{L}.blocks.{i}.net.{n}.0.{p}",
        shortcut="net.{L}.blocks.0.projection.shortcut.weight",
        shortcut_norm="net.{L}.blocks.0.projection.bn.0.{p}",
    ),
    ResNetDialect(
        "huggingface",
        "transformers' ResNet",
        stem="embedder.embedder.convolution.weight",
        stem_norm="embedder.embedder.normalization.{p}",
        conv="encoder.stages.{l}.layers.{i}.layer.{k}.convolution.weight",
        norm="encoder.stages.{l}.layers.{i}.layer.{k}.normalization.{p}",
        shortcut="encoder.stages.{l}.layers.0.shortcut.convolution.weight",
        shortcut_norm="encoder.stages.{l}.layers.0.shortcut.normalization.{p}",
    ),
    ResNetDialect(
        "caffe2",
        "Caffe2 and Detectron 1",
        stem="conv1_w",
        stem_norm="res_conv1_bn_{p}",
        conv="res{r}_{i}_branch2{a}_w",
        norm="res{r}_{i}_branch2{a}_bn_{p}",
        shortcut="res{r}_0_branch1_w",
        shortcut_norm="res{r}_0_branch1_bn_{p}",
        parts=(
            ("gamma", "s"),
            ("beta", "b"),
            ("running_mean", "rm"),
            ("running_var", "riv"),
            (),
        ),
        silent=("_momentum", "conv1_b"),
    ),
    ResNetDialect(
        "haiku",
        "DeepMind's Haiku ResNet; modules and their parameters joined by '/'",
        stem="initial_conv/w",
        stem_norm="initial_batchnorm/{p}",
        conv="block_group_{l}/~/block_{i}/~/conv_{k}/w",
        norm="block_group_{l}/~/block_{i}/~/batchnorm_{k}/{p}",
        shortcut="block_group_{l}/~/block_0/~/shortcut_conv/w",
        shortcut_norm="block_group_{l}/~/block_0/~/shortcut_batchnorm/{p}",
        parts=(
            ("scale",),
            ("offset",),
            ("~/mean_ema/average",),
            ("~/var_ema/average",),
            (),
        ),
        channels_last=True,
        separator="/",
        renamed=(("initial_conv_1", "initial_conv"), ("initial_batchnorm_1", "initial_batchnorm")),
        silent=("/hidden", "/counter"),
    ),
)


TIMM_DEEP = ResNetDialect(
    "timm_deep",
    "timm's ResNet-C and S: a deep stem of three 3x3 convolutions",
    stem="conv1.0.weight",
    stem_norm="conv1.1.{p}",
    deep=(("conv1.3.weight", "conv1.4.{p}"), ("conv1.6.weight", "bn1.{p}")),
    conv="layer{L}.{i}.conv{j}.weight",
    norm="layer{L}.{i}.bn{j}.{p}",
    shortcut="layer{L}.0.downsample.0.weight",
    shortcut_norm="layer{L}.0.downsample.1.{p}",
)
DIALECTS += (
    TIMM_DEEP,
    replace(
        TIMM_DEEP,
        name="timm_pooled",
        about="timm's ResNet-D: a deep stem, and an average pool before the shortcut's convolution",
        shortcut="layer{L}.0.downsample.1.weight",
        shortcut_norm="layer{L}.0.downsample.2.{p}",
        avg_down=True,
    ),
)


@cache
def _vocabulary(dialect: ResNetDialect) -> Mapping[str, str]:
    found: dict[str, str] = {}

    def add(conv: str, norm: str, ours: str, **index: object) -> None:
        found[conv.format(**index)] = f"{ours}.weight"
        for part, aliases in zip(NORM_PARTS, dialect.parts, strict=True):
            for alias in aliases:
                found[norm.format(p=alias, **index)] = f"{ours}.norm.{part}"

    for number, names in enumerate(((dialect.stem, dialect.stem_norm), *dialect.deep), 1):
        add(*names, f"stem.conv{number}")
    for stage in range(4):
        place = {"L": stage + 1, "l": stage, "r": stage + 2, "q": stage + 4}
        add(dialect.shortcut, dialect.shortcut_norm, f"res{stage + 2}.0.shortcut", **place)
        for block in range(max(blocks[stage] for blocks in BLOCKS.values())):
            for k in range(3):
                index = {
                    **place,
                    "i": block,
                    "b": block + 1,
                    "j": k + 1,
                    "k": k,
                    "a": "abc"[k],
                    "c": 2 * k,
                    "n": 2 * k + 1,
                }
                add(dialect.conv, dialect.norm, f"res{stage + 2}.{block}.conv{k + 1}", **index)
    return found
