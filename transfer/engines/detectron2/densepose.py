"""Puts Detectron2's DensePose project behind our samples and predictions.

`config` has made sure that it can be imported; that is not done here before a DensePose recipe needs it.
"""

from __future__ import annotations

from detectron2.structures import Boxes, Instances
from torch import Tensor

from transfer.evaluation.densepose.surface import PackedSurface
from transfer.samples.sample import Sample


def add_targets(instances: Instances, sample: Sample) -> None:
    """Sets `gt_densepose`; also where nobody is labelled, because their losses expect it of every image."""
    from densepose import DensePoseDataRelative, DensePoseList

    people = [None if d is None else DensePoseDataRelative(_annotation(d)) for d in sample.densepose or ()]
    instances.gt_densepose = DensePoseList(people, sample.boxes, tuple(sample.image.shape[-2:]))


def surfaces(instances: Instances) -> list[PackedSurface] | None:
    """One surface a detection, by the project's own resampling; None without a head or a detection."""
    if not instances.has("pred_densepose"):
        return None
    from densepose.converters import ToChartResultConverter

    found = []
    for i in range(len(instances)):
        box = Boxes(instances.pred_boxes.tensor[i : i + 1])
        result = ToChartResultConverter.convert(instances.pred_densepose[i], box)
        found.append(PackedSurface.pack(result.labels.cpu().numpy(), result.uv.cpu().numpy()))
    return found


def _annotation(target: dict[str, Tensor]) -> dict[str, Tensor]:
    """Their annotation dict; part masks may be in it as one decoded map."""
    points = {"dp_x": target["x"], "dp_y": target["y"], "dp_I": target["part"].float()}
    return points | {"dp_U": target["u"], "dp_V": target["v"], "dp_masks": target["coarse"].float()}
