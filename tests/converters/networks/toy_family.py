"""A family of small convolutional networks without norms, as one row: what a new family must say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from converters.networks.family import Dialect, Evidence, Fact, Facts, Family, Shape, Shapes, Weights

FACTS = (Fact("layers", int, 3, "layers"), Fact("width", int, 8, "width"))
DEEPEST = 9


def shapes(facts: Facts) -> Shapes:
    width, layers = facts["width"], facts["layers"]
    if not 1 <= layers <= DEEPEST:
        raise ValueError(f"layers {layers}; expected 1 to {DEEPEST}")
    found: dict[str, Shape] = {"patch.weight": (width, 3, 4, 4), "patch.bias": (width,)}
    for layer in range(layers):
        found |= {f"body.{layer}.weight": (width, width, 3, 3), f"body.{layer}.bias": (width,)}
    return found


def closest(found: Shapes) -> dict[str, int]:
    layers = sum(name.startswith("body.") and name.endswith(".weight") for name in found)
    first = found.get("patch.bias", ())
    return {"layers": min(max(layers, 1), DEEPEST), "width": first[0] if first else 8}


@dataclass(frozen=True, kw_only=True)
class ToyDialect(Dialect):
    patch: str
    layer: str

    def vocabulary(self) -> Mapping[str, str]:
        parts = ("weight", "bias")
        found = {f"{self.patch}.{part}": f"patch.{part}" for part in parts}
        for i in range(DEEPEST):
            found |= {f"{self.layer.format(i=i)}.{part}": f"body.{i}.{part}" for part in parts}
        return found

    def templates(self) -> Mapping[str, str]:
        return {"Patch": self.patch, "Layer": self.layer}


def flat(weights: Weights) -> str:
    return "" if weights["patch.weight"].std() > 1e-3 else "the patches are flat"


def wide_patch(evidence: Evidence) -> bool:
    return evidence.found.get("patch.weight", ())[2:] == (16, 16)


TOY = Family(
    "toy",
    "Toy",
    facts=FACTS,
    stated=(Fact("padded", bool, True, "padded"),),
    shapes=shapes,
    closest=closest,
    label=lambda facts: f"Toy-{facts['layers']}",
    details=lambda facts: f"width {facts['width']}",
    dialects=(ToyDialect("toy", "this test", patch="embed.proj", layer="blocks.{i}.mix", silent=("mask",)),),
    export_dialect="toy",
    colours="patch.weight",
    compared=("patch.weight",),
    warnings=(flat,),
    refusals=((wide_patch, "a Toy with patches of 16 pixels; this one has 4"),),
)
