"""Describes the detectors that stand on a pyramid of any family's maps; `architectures` completes the rows.

ViTDet (Li et al., arXiv 2203.16527) makes its pyramid from the last map of a ViT; ConvNeXt and Swin have four
maps of their own for the FPN (Lin et al., arXiv 1612.03144). A ViT gets there with the maps of four blocks,
which new layers bring to four strides (Li et al., arXiv 2111.11429).
"""

from __future__ import annotations

from typing import Any

from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.family import Family
from transfer.recipes.own import OWN
from transfer.recipes.swin import SWIN
from transfer.recipes.vit import VIT

LEVELS = ["p2", "p3", "p4", "p5", "p6"]  # strides 4 to 64
SCALES = (4.0, 2.0, 1.0, 0.5)  # of a map of stride 16, which make p2 to p5
BIAS = r"(window_bias|global_bias|blocks\.\d+\.attn\.rel_pos_[hw])"
_HEADS = {
    "MODEL.RPN.IN_FEATURES": (LEVELS,),
    "MODEL.ROI_HEADS.IN_FEATURES": (LEVELS[:-1],),
}


def _fpn_on(family: Family) -> dict[str, Any]:
    return {
        "name": f"FPN{family.name}",
        "title": f"FPN on a {family.name}",
        "family": family,
        "backbone": f"build_{family.in_manifest}_fpn_backbone",
        "neck": "fpn",
        "demands": {
            family.outputs: ([1, 2, 3, 4],),
            "MODEL.FPN.IN_FEATURES": (list(family.stages),),
            **_HEADS,
        },
        "holder": "backbone.bottom_up",
        "fresh": {
            "FPN": r"backbone\.fpn_(lateral|output)[2-5]\..*",
            "norms of maps": r"backbone\.bottom_up\.norm_maps\..*",
        },
        "norms": ("MODEL.FPN.NORM",),
        "miniature": "fpn",
        "added": (f"{family.section}.",),
    }


# Each as keywords of an Architecture, without what all detectors of two stages share.
PYRAMIDS: tuple[dict[str, Any], ...] = (
    {
        "name": "ViTDet",
        "title": "ViTDet (simple pyramid on a ViT)",
        "family": VIT,
        "backbone": "build_vit_simple_pyramid_backbone",
        "neck": "simple_pyramid",
        "demands": {
            "MODEL.VIT.PATCH_SIZE": (16,),
            VIT.outputs: ([-1],),
            "MODEL.VIT.REL_BIAS_TOKENS": (0,),
            "MODEL.VIT.REL_BIAS_SHARED": (False,),
            **_HEADS,
        },
        "holder": "backbone.net",
        "fresh": {
            "simple pyramid": r"backbone\.simfp_[2-5]\..*",
            "relative positions": r"backbone\.net\.blocks\.\d+\.attn\.rel_pos_[hw]",
        },
        "norms": ("MODEL.SIMPLE_PYRAMID.NORM",),
        "miniature": "vitdet",
        "square": "MODEL.SIMPLE_PYRAMID.SQUARE_PAD",
        "added": ("MODEL.SIMPLE_PYRAMID.", "MODEL.VIT."),
    },
    {
        "name": f"FPN{VIT.name}",
        "title": f"FPN on four taps of a {VIT.name}",
        "family": VIT,
        "backbone": f"build_{VIT.in_manifest}_fpn_backbone",
        "neck": "tap_pyramid",
        "demands": {
            "MODEL.VIT.PATCH_SIZE": (16,),
            "MODEL.VIT.REL_BIAS_SHARED": (True,),
            "MODEL.FPN.IN_FEATURES": (list(VIT.stages),),
            **_HEADS,
        },
        "holder": "backbone.bottom_up.net",
        "fresh": {
            "FPN": r"backbone\.fpn_(lateral|output)[2-5]\..*",
            "strides of taps": r"backbone\.bottom_up\.scales\..*",
            "relative positions": rf"backbone\.bottom_up\.net\.{BIAS}",
        },
        "norms": ("MODEL.TAP_PYRAMID.NORM", "MODEL.FPN.NORM"),
        "miniature": "vitfpn",
        "square": "MODEL.TAP_PYRAMID.SQUARE_PAD",
        "added": ("MODEL.TAP_PYRAMID.", "MODEL.VIT."),
    },
    _fpn_on(CONVNEXT),
    _fpn_on(SWIN),
    {
        "name": f"FPN{OWN.name}",
        "title": f"FPN on a {OWN.name}",
        "family": OWN,
        "backbone": f"build_{OWN.in_manifest}_fpn_backbone",
        "neck": "fpn",
        "demands": _HEADS,
        "tasks": ("segm", "keypoints", "densepose"),
        "holder": "backbone.bottom_up.body",
        "fresh": {
            "FPN": r"backbone\.fpn_(lateral|output)[2-5]\..*",
            "keypoint head": r"roi_heads\.keypoint_head\..*",
            "DensePose head": r"roi_heads\.densepose_(head|predictor)\..*",
        },
        "norms": ("MODEL.FPN.NORM",),
        "miniature": "fpn",
        "added": (f"{OWN.section}.",),
        "guest_of": ("FPN", *(f"FPN{family.name}" for family in (VIT, CONVNEXT, SWIN))),
    },
    {
        "name": f"ViTDet{OWN.name}",
        "title": f"ViTDet on a {OWN.name}",
        "family": OWN,
        "backbone": f"build_{OWN.in_manifest}_simple_pyramid_backbone",
        "neck": "simple_pyramid",
        "demands": _HEADS,
        "holder": "backbone.net.body",
        "fresh": {"simple pyramid": r"backbone\.simfp_[2-5]\..*"},
        "norms": ("MODEL.SIMPLE_PYRAMID.NORM",),
        "miniature": "vitdet",
        "square": "MODEL.SIMPLE_PYRAMID.SQUARE_PAD",
        "added": ("MODEL.SIMPLE_PYRAMID.", f"{OWN.section}."),
        "guest_of": ("ViTDet",),
    },
)
