"""Describes ConvNeXt and ConvNeXt V2 in one row; DINOv3's ConvNeXts are the former."""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType
from typing import Any

from converters.networks import stages
from converters.networks.convnext_names import DIALECTS
from converters.networks.family import Evidence, Fact, Facts, Family, Refusal, Shape, Shapes, Weights

FACTS = (
    Fact("depths", list, [3, 3, 9, 3], "blocks a stage"),
    Fact("dims", list, [96, 192, 384, 768], "channels a stage"),
    Fact("layer_scale", bool, True, "layer scale"),
    Fact("grn", bool, False, "global response norm"),
    Fact("final_norm", bool, True, "final norm"),
)
NORM_EPS = Fact("norm_eps", float, 1e-6, "norm epsilon", most=0.1)
SIZES: stages.Sizes = {
    (96, (3, 3, 9, 3)): "T",
    (96, (3, 3, 27, 3)): "S",
    (128, (3, 3, 27, 3)): "B",
    (192, (3, 3, 27, 3)): "L",
    (256, (3, 3, 27, 3)): "XL",
    (352, (3, 3, 27, 3)): "H",
    (384, (3, 4, 30, 3)): "XXL",
}


def shapes(facts: Facts) -> Shapes:
    """Every tensor by Facebook's names, 180 for ConvNeXt-T. ValueError for facts of no such network."""
    flags = tuple(bool(facts[key]) for key in ("layer_scale", "grn", "final_norm"))
    return _shapes(stages.four(facts, "depths", stages.DEEPEST), stages.four(facts, "dims"), *flags)


@lru_cache(maxsize=64)
def _shapes(
    blocks: tuple[int, ...], dims: tuple[int, ...], layer_scale: bool, grn: bool, final_norm: bool
) -> Shapes:
    found: dict[str, Shape] = stages.module("downsample_layers.0.0", dims[0], 3, 4, 4)
    found |= stages.module("downsample_layers.0.1", dims[0])
    for stage in (1, 2, 3):
        before, here = dims[stage - 1], f"downsample_layers.{stage}"
        found |= stages.module(f"{here}.0", before) | stages.module(f"{here}.1", dims[stage], before, 2, 2)
    for stage, width in enumerate(dims):
        for here in (f"stages.{stage}.{block}" for block in range(blocks[stage])):
            found |= {f"{here}.gamma": (width,)} if layer_scale else {}
            found |= stages.module(f"{here}.dwconv", width, 1, 7, 7) | stages.module(f"{here}.norm", width)
            found |= stages.module(f"{here}.pwconv1", 4 * width, width)
            found |= {f"{here}.grn.{p}": (1, 1, 1, 4 * width) for p in ("gamma", "beta")} if grn else {}
            found |= stages.module(f"{here}.pwconv2", width, 4 * width)
    found |= stages.module("norm", dims[-1]) if final_norm else {}
    return MappingProxyType(found)


def closest(found: Shapes) -> dict[str, Any]:
    """The facts of the ConvNeXt that best explains shapes by our names."""
    grn = any(".grn." in name for name in found)
    return {
        "depths": stages.depths(found, r"stages\.(\d+)\.(\d+)\."),
        "dims": [stages.size(found, f"stages.{stage}.0.norm.weight", 0, 96 << stage) for stage in range(4)],
        # Every published network has at least one of the two: without both, layer scale is what is missing.
        "layer_scale": not grn or any(name.endswith(".gamma") and ".grn." not in name for name in found),
        "grn": grn,
        "final_norm": any(name.startswith("norm.") for name in found),
    }


def _label(facts: Facts) -> str:
    return f"ConvNeXt{' V2' if facts['grn'] else ''}-{stages.sized(facts, SIZES, facts['dims'][0])}"


def _details(facts: Facts) -> str:
    parts = {"layer_scale": "layer scale", "grn": "global response norm", "final_norm": "final norm"}
    held = ", ".join(f"{'' if facts[key] else 'no '}{title}" for key, title in parts.items())
    return f"channels {', '.join(map(str, facts['dims']))}, {held}"


def _unscaled(weights: Weights) -> str:
    """Warns of layer scales that are all as a classifier's training begins."""
    scales = [array for name, array in weights.items() if name.endswith(".gamma") and ".grn." not in name]
    if scales and all((array == scales[0].flat[0]).all() for array in scales):
        return "all layer scales are the same number: this network never took a training step"
    return ""


def _stem_kernel(e: Evidence) -> Shape:
    return e.found.get("downsample_layers.0.0.weight", ())[2:]


def _without_shifts(e: Evidence) -> bool:
    """Norms that have weights and no bias, throughout."""
    names = {name for name in e.found if ".norm." in name}
    return bool(names) and all(name.endswith(".weight") for name in names)


REFUSALS: tuple[Refusal, ...] = (
    (
        lambda e: _stem_kernel(e) == (3, 3),
        "a ConvNeXt with an overlapping stem of two 3x3 convolutions (timm's `_ols`); ours has one 4x4",
    ),
    (
        lambda e: len(_stem_kernel(e)) == 2 and _stem_kernel(e) != (4, 4),
        "a ConvNeXt with a stem of another size; expected patches of 4x4 pixels",
    ),
    (_without_shifts, "a ConvNeXt with root-mean-square norms (timm's `_rms`); ours has layer norms"),
)

CONVNEXT = Family(
    "convnext",
    "ConvNeXt",
    facts=FACTS,
    stated=(NORM_EPS,),
    shapes=shapes,
    closest=closest,
    label=_label,
    details=_details,
    dialects=DIALECTS,
    export_dialect="convnext",
    colours="downsample_layers.0.0.weight",
    compared=("downsample_layers.0.0.weight", "stages.3.0.pwconv1.weight", "stages.1.0.dwconv.weight"),
    warnings=(stages.untrained, _unscaled, stages.no_final_norm),
    refusals=REFUSALS,
)
