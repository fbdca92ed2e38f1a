"""Describes a user's own module as a backbone: all that is known of it was measured before a run is planned.

Its keys are filled by the plan (`benchmarks.planning.own_code`). The place of its code is no key: it is put
on a recipe when a cell starts, so that no recipe, suite or override can name code to run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yacs.config import CfgNode

from transfer.recipes.family import Family, by_rule
from transfer.recipes.flat import flatten, tree_of
from transfer.recipes.rules import COUNT, NATURAL, each

SECTION = "MODEL.OWN"
PLACE = f"{SECTION}.FILE"
PYRAMID = (4, 8, 16, 32)  # strides of the maps that an FPN joins
PATCH = 16  # stride of the map that a simple pyramid stands on
NOTHING: dict[str, Any] = {
    "code": "",
    "sources": [],
    "weights_sha256": "",
    "maps": [],
    "strides": [],
    "channels": [],
    "patch": 0,
    "blocks": 0,
}
_COUNTS = each(COUNT, "a list of whole numbers above 0", least=0)

OWN = Family(
    name="UserModule",
    stages=(),
    facts=by_rule(SECTION, NOTHING),
    random=NOTHING,
    section=SECTION,
    numbers={"STRIDES": _COUNTS, "CHANNELS": _COUNTS, "PATCH": NATURAL, "BLOCKS": NATURAL},
    choices={},
    outputs=f"{SECTION}.MAPS",
    patch=f"{SECTION}.PATCH",
)


def with_code(cfg: CfgNode, file: str) -> CfgNode:
    """Returns the recipe of a cell with the place of its code on this machine."""
    return tree_of(flatten(cfg) | {PLACE: file})


def chosen(flat: Mapping[str, Any], neck: str) -> dict[str, tuple[int, int]]:
    """Maps the names that a neck takes -> (stride, channels): all without one, else those of its strides.

    Of several maps with one stride an FPN takes the last, a simple pyramid always the last of all. An UperNet
    takes what an FPN would, and all where there are none of these strides.
    """
    each_map = zip(*(flat[f"{SECTION}.{key}"] for key in ("MAPS", "STRIDES", "CHANNELS")), strict=True)
    found = {name: (stride, channels) for name, stride, channels in each_map}
    last = {stride: name for name, (stride, _) in found.items()}
    pyramid = {last[stride]: found[last[stride]] for stride in PYRAMID if stride in last}
    if neck == "fpn" or (_upernet(flat) and len(pyramid) == len(PYRAMID)):
        return pyramid
    if neck == "simple_pyramid":
        return dict([*found.items()][-1:])
    return dict(sorted(found.items(), key=lambda item: item[1][0]))  # heads on maps want the finest first


def misfit(flat: Mapping[str, Any], neck: str) -> str:
    """Says why a recipe cannot be trained on the user's module, and what to do; nothing if it can."""
    code, strides = flat[f"{SECTION}.CODE"], flat[f"{SECTION}.STRIDES"]
    if not code:
        return (
            f"MODEL.BACKBONE.NAME {flat['MODEL.BACKBONE.NAME']} is what --init NAME=own:FILE.py:CALLABLE "
            "makes of a recipe, which cannot name code by itself: leave the name of its usual backbone"
        )
    told = f"{code} gives maps of strides {', '.join(map(str, strides))}"
    if neck == "fpn" and len(chosen(flat, neck)) < len(PYRAMID):
        return (
            f"{told}, and a pyramid joins maps of strides {', '.join(map(str, PYRAMID))}: return these four"
        )
    if _upernet(flat) and len(chosen(flat, neck)) != len(PYRAMID):
        return (
            f"{told}, and UperNet stands on {len(PYRAMID)} maps, of strides {', '.join(map(str, PYRAMID))} "
            "or all of one: return these four"
        )
    if neck == "simple_pyramid" and strides[-1] != PATCH:
        return f"{told}, and a simple pyramid stands on the last one if it is {PATCH}: return that map alone"
    if flat["SOLVER.LAYER_DECAY"] != 1.0 and not flat[f"{SECTION}.BLOCKS"]:
        return (
            f"SOLVER.LAYER_DECAY {flat['SOLVER.LAYER_DECAY']} counts blocks, and {code} has no parameters "
            "blocks.0.*, blocks.1.* ...: keep its blocks in one list of that name, or add "
            "SOLVER.LAYER_DECAY 1.0"
        )
    return ""


def _upernet(flat: Mapping[str, Any]) -> bool:
    return bool(flat["MODEL.SEM_SEG_HEAD.NAME"] == "UPerHead")
