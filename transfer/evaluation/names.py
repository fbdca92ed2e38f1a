"""Names the metrics that a run will yield, before it begins: from its data set and its recipe."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from transfer.datasets import ade20k, own_maps, voc, voc_segmentation
from transfer.datasets.cityscapes import reader as cityscapes
from transfer.datasets.coco import lvis
from transfer.datasets.coco import reader as coco
from transfer.datasets.coco.own import OwnDataset
from transfer.datasets.registry import describe_layout
from transfer.recipes.architectures import architecture_of
from transfer.recipes.demands import HEADS

_VOC = ("AP", "AP50", "AP75")
_COCO = ("AP", "AP50", "AP75", "APs", "APm", "APl")
PEOPLE = ("AP", "AP50", "AP75", "APm", "APl")
LVIS = (*_COCO, "APr", "APc", "APf")
# evaluator -> task -> the names of its metrics, as `evaluate` returns them
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "voc": {"bbox": _VOC},
    "coco": {"bbox": _COCO, "segm": _COCO, "keypoints": PEOPLE},
    "densepose": {"bbox": _COCO, **{f"densepose_{part}": PEOPLE for part in ("gps", "gpsm", "segm")}},
    "lvis": {"bbox": LVIS, "segm": LVIS},
    "cityscapes_instance": {"segm": ("AP", "AP50")},
    "cityscapes_sem_seg": {"sem_seg": ("mIoU", "iIoU", "IoU_sup", "iIoU_sup")},
    **dict.fromkeys(("voc_sem_seg", "ade20k_sem_seg"), {"sem_seg": ("mIoU", "fwIoU", "mACC", "pACC")}),
}


def evaluator_of(name: str, own: Mapping[str, OwnDataset]) -> tuple[str, tuple[str, ...]]:
    """(evaluator, annotated tasks) of a data set, as its metadata will have them; no file is read.

    `own` are the user's data sets. DataError for a name that nobody knows, with the nearest ones.
    """
    if name in own:
        if own[name].maps is not None:
            return own_maps.EVALUATOR, own[name].tasks
        return "voc" if own[name].classes else "coco", own[name].tasks
    if name in coco.SOURCES:
        tasks = coco.SOURCES[name].tasks
        return "densepose" if "densepose" in tasks else "coco", tasks
    describe_layout(name, own)  # an unknown name ends here
    for module, evaluator, tasks in (
        (voc, "voc", ("bbox",)),
        (lvis, "lvis", ("bbox", "segm")),
        (voc_segmentation, "voc_sem_seg", ("sem_seg",)),
        (ade20k, "ade20k_sem_seg", ("sem_seg",)),
    ):
        if any(spec.name == name for spec in module.SPECS):
            return evaluator, tasks
    assert any(spec.name == name for spec in cityscapes.SPECS)
    if "sem_seg" in name:
        return "cityscapes_sem_seg", ("sem_seg",)
    return "cityscapes_instance", ("segm",)


def metrics_of(evaluator: str, tasks: Collection[str], flat: Mapping[str, Any]) -> list[str]:
    """The metrics that a flat recipe yields, as "bbox/AP": of tasks that are annotated and predicted."""
    predicted = {architecture_of(flat).predicts, *(part for part, key in HEADS.items() if flat[key])}
    found = predicted.intersection(tasks)
    return [
        f"{task}/{name}"
        for task, names in NAMES[evaluator].items()
        if task in found or ("densepose" in found and task.startswith("densepose_"))
        for name in names
    ]
