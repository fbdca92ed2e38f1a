"""Describes the segmentors that stand on any family's maps; `architectures` completes the rows.

A linear head (DINOv2, arXiv 2304.07193, table 10; DINOv3, 2508.10104) judges frozen features; its rows are
kin, so one recipe takes weights of each family. UperNet (arXiv 1807.10221) has a recipe for each of ours; a
user's module is a guest of all three.
"""

from __future__ import annotations

from typing import Any

from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.family import Family
from transfer.recipes.own import OWN
from transfer.recipes.resnet import RESNET
from transfer.recipes.swin import SWIN
from transfer.recipes.vit import VIT

MAPS = 4  # that a UPerHead stands on
_HEAD = "MODEL.SEM_SEG_HEAD"
_FLAT = {"pyramid": r"sem_seg_head\.scales\..*"}  # where all four maps have one stride


def _linear(family: Family, demands: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": f"Linear{family.name}",
        "title": f"a linear head on a {family.name}",
        "family": family,
        "head": "LinearHead",
        "demands": {
            **demands,
            f"{_HEAD}.NORM": ("", "BN", "SyncBN"),
            "MODEL.VIT.REL_BIAS_TOKENS": (0,),
            "MODEL.VIT.REL_BIAS_SHARED": (False,),
        },
        "fresh": {},
        "holder": "backbone.body" if family is OWN else "backbone",
        "miniature": "linear",
        "kind": "linear",
    }


def _upernet(family: Family, demands: dict[str, Any], fresh: dict[str, str], **row: Any) -> dict[str, Any]:
    return {
        "name": f"UPerNet{family.name}",
        "title": f"UperNet on a {family.name}",
        "family": family,
        "head": "UPerHead",
        "demands": {**demands, f"{_HEAD}.NORM": ("BN", "SyncBN")},
        "fresh": {"auxiliary head": r"sem_seg_head\.auxiliary\..*", **fresh},
        "miniature": "upernet",
        "added": ("MODEL.UPERNET.",),
        **row,
    }


def _hierarchy(family: Family) -> dict[str, Any]:
    """A new norm on each map, and none of the network's own, as in the authors' code of both families."""
    norms = {f"{family.section}.NORM_MAPS": (True,), f"{family.section}.NORM_LAST": (False,)}
    return _upernet(family, norms, {"norms of maps": r"backbone\.norm_maps\..*"})


# Each as keywords of an Architecture, without what all segmentors on such maps share.
CLASS_MAPS: tuple[dict[str, Any], ...] = (
    _linear(RESNET, {RESNET.outputs: ([RESNET.stages[-1]],), RESNET.norm: ("FrozenBN",)}),
    _linear(VIT, {"MODEL.VIT.NORM_TAPS": (True,)}),
    _linear(CONVNEXT, {"MODEL.CONVNEXT.NORM_LAST": (True,)}),
    _linear(SWIN, {"MODEL.SWIN.NORM_LAST": (True,)}),
    _linear(OWN, {}),
    _upernet(
        VIT,
        {
            "MODEL.VIT.WINDOW": (0,),
            "MODEL.VIT.REL_POS_TOKENS": (0,),
            "MODEL.VIT.REL_BIAS_SHARED": (False,),
        },
        {**_FLAT, "relative positions": r"backbone\.blocks\.\d+\.attn\.relative_bias"},
    ),
    _hierarchy(CONVNEXT),
    _hierarchy(SWIN),
    _upernet(
        OWN,
        {},
        _FLAT,
        holder="backbone.body",
        guest_of=tuple(f"UPerNet{family.name}" for family in (VIT, CONVNEXT, SWIN)),
    ),
)
