"""Task -> what Detectron2 says, in the shape and names of `transfer.evaluation`."""

from __future__ import annotations

import math

from tests.transfer.evaluation import d2_oracle as d2


def _city(dataset, predictions, _):
    scores = d2.cityscapes_evaluate(dataset, predictions)
    if "IoU" in scores:
        return {"sem_seg": {"mIoU" if k == "IoU" else k: v for k, v in scores.items()}}
    return {"segm": scores}


def _lvis(dataset, predictions, work):
    # It leaves lvis's -1 as -100 percent.
    result = d2.lvis_evaluate(dataset, predictions, work)
    return {t: {k: math.nan if v < 0 else v for k, v in values.items()} for t, values in result.items()}


def _densepose(dataset, predictions, _):
    names = {"GPS": "densepose_gps", "GPSM": "densepose_gpsm", "IOU": "densepose_segm"}
    result = d2.densepose_evaluate(dataset, predictions)
    return {names[m]: {k: math.nan if v < 0 else 100 * v for k, v in s.items()} for m, s in result.items()}


ORACLES = {
    "coco": d2.coco_evaluate,
    "keypoints": d2.coco_evaluate,
    "lvis_v0.5": _lvis,
    "lvis_v1": _lvis,
    "cityscapes_instance": _city,
    "cityscapes_semantic": _city,
    "voc_semantic": lambda dataset, predictions, _: {"sem_seg": d2.sem_seg_evaluate(dataset, predictions)},
    "densepose": _densepose,
}
