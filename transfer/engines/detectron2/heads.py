"""The one head of the C4 recipes that Detectron2 does not ship; registered under the MoCo authors' name."""

from __future__ import annotations

from typing import Any

from detectron2.layers import get_norm
from detectron2.modeling import ROI_HEADS_REGISTRY
from detectron2.modeling.roi_heads import Res5ROIHeads


@ROI_HEADS_REGISTRY.register()
class Res5ROIHeadsExtraNorm(Res5ROIHeads):
    """Res5ROIHeads with one more norm after res5 and before the spatial mean (MoCo paper, section 4.2).

    Added from outside as a child of the public attribute `res5`: overriding the private builder is what
    froze it upstream.
    """

    def __init__(self, cfg: Any, input_shape: Any) -> None:
        super().__init__(cfg, input_shape)
        self.res5.add_module("norm", get_norm(cfg.MODEL.RESNETS.NORM, self.res5[-1].out_channels))
