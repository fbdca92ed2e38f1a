"""Lists how each publisher's code names the tensors of a ConvNeXt: one row of templates per dialect.

s d u   stage 0..3, twice that, twice that and one: places in torchvision's list of features
b       block in the stage
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from converters.networks.family import ASIDE, Dialect, Facts, Shape, Shapes, Weights
from converters.networks.stages import BESIDE, DEEPEST, MODULE

LAYERS = ("dwconv", "norm", "pwconv1", "pwconv2")
SCALES = ("gamma", "grn.gamma", "grn.beta")
AGAIN = f"{ASIDE}norm"  # the final norm once more, as DINOv3's files have it


@dataclass(frozen=True, kw_only=True)
class ConvNeXtDialect(Dialect):
    """Templates of the tensors, and how their shapes differ from Facebook's, which are the defaults."""

    beside: tuple[tuple[str, str], ...] = BESIDE
    stem: tuple[str, str] = ("downsample_layers.0.0", "downsample_layers.0.1")  # convolution, norm
    down: tuple[str, str] = ("downsample_layers.{s}.0", "downsample_layers.{s}.1")  # norm, convolution
    block: str = "stages.{s}.{b}."
    layers: tuple[str, str, str, str] = LAYERS
    scales: tuple[str, str, str] = SCALES
    final: tuple[str, ...] = ("norm",)  # the names that the final norm goes by
    inner: str = ""  # what some versions put before all names, or all but the final norm's
    scale_axes: int = 1  # of a layer scale's shape
    response_axes: int = 4  # of the shape of a response norm's scale and shift
    convolved: bool = False  # the MLP is stored as 1x1 convolutions

    def vocabulary(self) -> Mapping[str, str]:
        """Foreign name -> our name, for the deepest network."""
        return _vocabulary(self)

    def templates(self) -> Mapping[str, str]:
        """Column -> template, for the page of checkpoints."""
        return {
            "Stem": ", ".join(self.stem),
            "Downsampling": ", ".join(self.down),
            "Block": self.block + "{" + ", ".join(filter(None, (*self.layers, *self.scales))) + "}",
            "Final norm": ", ".join(self.final) or "none",
        }

    def stored(self, expected: Shapes, facts: Facts) -> Shapes:
        """Our tensors in the shapes that this publisher gives them."""
        return {name: self._stored(name, shape) for name, shape in expected.items()}

    def _stored(self, name: str, shape: Shape) -> Shape:
        if ".grn." in name:
            return shape[4 - self.response_axes :]
        if name.endswith(".gamma"):
            return shape + (1,) * (self.scale_axes - 1)
        if self.convolved and ".pwconv" in name and name.endswith(".weight"):
            return (*shape, 1, 1)
        return shape

    def assembled(self, arrays: Weights, facts: Facts) -> dict[str, np.ndarray]:
        """The file's arrays in our shapes. ValueError for a final norm that is there twice and differs."""
        for part in MODULE:
            once, again = (arrays.get(f"{name}.{part}", ()) for name in ("norm", AGAIN))
            if f"{AGAIN}.{part}" in arrays and not np.array_equal(once, again, equal_nan=True):
                raise ValueError(f"the final norm is in the file twice, and its {part} is not the same")
        return {
            name: array.reshape(_ours(name, array))
            for name, array in arrays.items()
            if not name.startswith(ASIDE)
        }


def _ours(name: str, array: np.ndarray) -> Shape:
    if ".grn." in name:
        return (1, 1, 1, array.size)
    if name.endswith(".gamma"):
        return (array.size,)
    return array.shape[:2] if ".pwconv" in name and array.ndim == 4 else array.shape


class SparseDialect(ConvNeXtDialect):
    """FCMAE's encoder: MinkowskiEngine's kernels (places, in, out), and biases with an axis before."""

    def _stored(self, name: str, shape: Shape) -> Shape:
        if _sparse(name) and name.endswith(".bias"):
            return (1, *shape)
        if _sparse(name) and ".dwconv" in name:
            return (shape[2] * shape[3], shape[0])
        return (shape[2] * shape[3], shape[1], shape[0]) if _sparse(name) else super()._stored(name, shape)

    def assembled(self, arrays: Weights, facts: Facts) -> dict[str, np.ndarray]:
        """As the authors' `remap_checkpoint_keys` (ConvNeXt-V2 utils.py): places run down the columns."""
        ours = {}
        for name, array in arrays.items():
            if _sparse(name) and name.endswith(".bias"):
                array = array.reshape(-1)
            elif _sparse(name):
                side = round(len(array) ** 0.5)
                array = array.reshape(side, side, *((1,) if array.ndim == 2 else ()), *array.shape[1:])
                array = array.transpose(3, 2, 1, 0)
            ours[name] = array
        return super().assembled(ours, facts)


def _sparse(name: str) -> bool:
    """Whether it is of a convolution over the places that are seen; the stem's is over the whole image."""
    return bool(re.match(r"downsample_layers\.[123]\.1\.|stages\.\d+\.\d+\.dwconv\.", name))


TIMM = ConvNeXtDialect(
    "convnext_timm",
    "timm, and open_clip's trunks",
    stem=("stem.0", "stem.1"),
    down=("stages.{s}.downsample.0", "stages.{s}.downsample.1"),
    block="stages.{s}.blocks.{b}.",
    layers=("conv_dw", "norm", "mlp.fc1", "mlp.fc2"),
    scales=("gamma", "mlp.grn.weight", "mlp.grn.bias"),
    final=("head.norm", "norm_pre"),
    response_axes=1,
)
DIALECTS: tuple[ConvNeXtDialect, ...] = (
    ConvNeXtDialect("convnext", "Facebook's ConvNeXt, ConvNeXt V2 and DINOv3, and detectors of them"),
    TIMM,
    replace(
        TIMM,
        name="convnext_timm_convolved",
        about="timm's small ones: MLPs of 1x1 convolutions",
        convolved=True,
    ),
    ConvNeXtDialect(
        "convnext_torchvision",
        "torchvision.models.convnext",
        stem=("features.0.0", "features.0.1"),
        down=("features.{d}.0", "features.{d}.1"),
        block="features.{u}.{b}.",
        layers=("block.0", "block.2", "block.3", "block.5"),
        scales=("layer_scale", "", ""),
        final=("classifier.0",),
        scale_axes=3,
    ),
    ConvNeXtDialect(
        "convnext_huggingface",
        "transformers' ConvNeXt and ConvNeXt V2",
        stem=("embeddings.patch_embeddings", "embeddings.layernorm"),
        down=("encoder.stages.{s}.downsampling_layer.0", "encoder.stages.{s}.downsampling_layer.1"),
        block="encoder.stages.{s}.layers.{b}.",
        layers=("dwconv", "layernorm", "pwconv1", "pwconv2"),
        scales=("layer_scale_parameter", "grn.weight", "grn.bias"),
        final=("layernorm",),
    ),
    ConvNeXtDialect(
        "convnext_huggingface_dinov3",
        "transformers' DINOv3 ConvNeXt",
        stem=("stages.0.downsample_layers.0", "stages.0.downsample_layers.1"),
        down=("stages.{s}.downsample_layers.0", "stages.{s}.downsample_layers.1"),
        block="stages.{s}.layers.{b}.",
        layers=("depthwise_conv", "layer_norm", "pointwise_conv1", "pointwise_conv2"),
        scales=("gamma", "", ""),
        final=("layer_norm",),
        inner="model.",
    ),
    ConvNeXtDialect(
        "convnext_mmpretrain",
        "OpenMMLab's ConvNeXt and ConvNeXt V2",
        layers=("depthwise_conv", "norm", "pointwise_conv1", "pointwise_conv2"),
        final=("norm3",),
        response_axes=1,
    ),
    SparseDialect(
        "fcmae",
        "ConvNeXt V2's masked pre-training, before its kernels are made dense",
        down=("downsample_layers.{s}.0.ln", "downsample_layers.{s}.1"),
        layers=("dwconv", "norm.ln", "pwconv1.linear", "pwconv2.linear"),
        final=(),
        response_axes=2,
    ),
)


@cache
def _vocabulary(dialect: ConvNeXtDialect) -> Mapping[str, str]:
    found: dict[str, str] = {}

    def add(theirs: str, ours: str) -> None:
        for part in MODULE:
            name = f"{ours}.{part}"
            kernel = isinstance(dialect, SparseDialect) and part == "weight" and _sparse(name)
            found[f"{theirs}.{'kernel' if kernel else part}"] = name

    for j in (0, 1):
        add(dialect.stem[j], f"downsample_layers.0.{j}")
    for stage, deepest in enumerate(DEEPEST):
        place = {"s": stage, "d": 2 * stage, "u": 2 * stage + 1}
        for j in (0, 1) if stage else ():
            add(dialect.down[j].format(**place), f"downsample_layers.{stage}.{j}")
        for block in range(deepest):
            theirs, ours = dialect.block.format(b=block, **place), f"stages.{stage}.{block}."
            for layer, known in zip(dialect.layers, LAYERS, strict=True):
                add(theirs + layer, ours + known)
            found |= {theirs + s: ours + known for s, known in zip(dialect.scales, SCALES, strict=True) if s}
    for name in dialect.final:
        add(name, "norm")
    add("norms.3", AGAIN)
    return found | ({dialect.inner + theirs: ours for theirs, ours in found.items()} if dialect.inner else {})
