"""Names the values of keys that kinds of recipes have in common: what detectors and heads must be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Demands = Mapping[str, tuple[Any, ...]]  # key -> the values that the engines honour

# Annotation of a data set -> the key of a recipe that has a head for it, beside boxes and class maps.
HEADS = {"segm": "MODEL.MASK_ON", "keypoints": "MODEL.KEYPOINT_ON", "densepose": "MODEL.DENSEPOSE_ON"}
OF_BOXES: Demands = {  # no detector obeys what is for class maps
    "INPUT.SCALE_OF": ("image",),
    "INPUT.COLOR_AUG_SSD": (False,),
    "INPUT.CROP.SINGLE_CATEGORY_MAX_AREA": (1.0,),
    "TEST.SLIDING_WINDOW.ENABLED": (False,),
}
WHOLE: Demands = {  # a detector sees whole images
    **OF_BOXES,
    "INPUT.CROP.ENABLED": (False,),
    "INPUT.SCALE_RANGE": ([],),
}
DETECTOR: Demands = {"MODEL.META_ARCHITECTURE": ("GeneralizedRCNN",)}
SEGMENTOR: Demands = {"MODEL.META_ARCHITECTURE": ("SemanticSegmentor",)}


def heads(*possible: str) -> Demands:
    """Demands that no head is on but, where a recipe wants them, those for these annotations."""
    return {key: (False, True) if head in possible else (False,) for head, key in HEADS.items()}
