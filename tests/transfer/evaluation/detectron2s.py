"""Scores our predictions by Detectron2's own evaluators, for the live tests and the golden numbers.

Detectron2 needs help to run at all with today's packages: `lvis` lacks np.float, its Cityscapes code imports
a module of Meta's, and DensePose wants 1.5 GB of downloads. The stand-ins for these compute no score.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
import types
import uuid

import numpy as np

from transfer.datasets.synthetic.mesh import make_mesh
from transfer.evaluation.numpy1_libraries import Numpy1


def _instances(size, prediction):
    import torch
    from detectron2.structures import Boxes, Instances
    from pycocotools import mask

    out = Instances(size)
    out.pred_boxes = Boxes(torch.tensor(np.asarray(prediction.boxes, np.float32)))
    out.scores = torch.tensor(prediction.scores)
    out.pred_classes = torch.tensor(prediction.classes)
    if prediction.masks is not None:
        masks = [mask.decode(m) for m in prediction.masks]
        out.pred_masks = torch.tensor(np.array(masks, bool).reshape(-1, *size))
    if prediction.keypoints is not None:
        out.pred_keypoints = torch.tensor(prediction.keypoints)
    return out


def _metadata(**values):
    from detectron2.data import MetadataCatalog

    name = f"oracle_{uuid.uuid4().hex}"
    MetadataCatalog.get(name).set(**values)
    return name


def voc_evaluate(dataset, predictions) -> dict[str, float]:
    from detectron2.evaluation import PascalVOCDetectionEvaluator

    m = dataset.metadata
    keys = ("thing_classes", "dirname", "year", "split")
    evaluator = PascalVOCDetectionEvaluator(_metadata(**{k: m[k] for k in keys}))
    evaluator.reset()
    by_id = {r["image_id"]: r for r in dataset.records}
    for p in predictions:
        record = by_id[p.image_id]
        size = (record["height"], record["width"])
        evaluator.process([record], [{"instances": _instances(size, p)}])
    return {key: float(value) for key, value in evaluator.evaluate()["bbox"].items()}


def _coco_like(dataset, predictions, make) -> dict[str, dict[str, float]]:
    m = dataset.metadata
    name = _metadata(
        json_file=m["json_file"],
        thing_classes=m["thing_classes"],
        thing_dataset_id_to_contiguous_id=m["thing_dataset_id_to_contiguous_id"],
    )
    evaluator = make(name)
    evaluator.reset()
    sizes = {r["image_id"]: (r["height"], r["width"]) for r in dataset.records}
    for p in predictions:
        evaluator.process([{"image_id": p.image_id}], [{"instances": _instances(sizes[p.image_id], p)}])
    result = evaluator.evaluate()
    return {t: {k: float(v) for k, v in values.items() if "-" not in k} for t, values in result.items()}


def coco_evaluate(dataset, predictions, output) -> dict[str, dict[str, float]]:
    from detectron2.evaluation import COCOEvaluator

    tasks = tuple(dataset.metadata["tasks"])
    return _coco_like(
        dataset,
        predictions,
        lambda name: COCOEvaluator(name, tasks, False, str(output), use_fast_impl=False),
    )


def lvis_evaluate(dataset, predictions, output) -> dict[str, dict[str, float]]:
    import lvis.eval
    from detectron2.evaluation import LVISEvaluator

    lvis.eval.np = Numpy1()
    return _coco_like(
        dataset, predictions, lambda name: LVISEvaluator(name, ("bbox", "segm"), False, str(output))
    )


def sem_seg_evaluate(dataset, predictions) -> dict[str, float]:
    import torch
    from detectron2.data import DatasetCatalog
    from detectron2.evaluation import SemSegEvaluator

    records = list(dataset.records)
    name = _metadata(stuff_classes=dataset.metadata["stuff_classes"], ignore_label=255)
    DatasetCatalog.register(name, lambda: records)
    evaluator = SemSegEvaluator(name, distributed=False)
    evaluator.reset()
    by_id = {p.image_id: p for p in predictions}
    for record in records:
        guess = torch.tensor(by_id[record["image_id"]].sem_seg)
        scores = torch.nn.functional.one_hot(guess, len(dataset.metadata["stuff_classes"])).permute(2, 0, 1)
        evaluator.process([record], [{"sem_seg": scores}])
    result = evaluator.evaluate()["sem_seg"]
    return {key: float(result[key]) for key in ("mIoU", "fwIoU", "mACC", "pACC")}


def _mend_cityscapes():
    prefix, base = "deeplearning.projects.cityscapesApi", "cityscapesscripts"
    for i in range(1, 4):
        name = ".".join(prefix.split(".")[:i])
        sys.modules.setdefault(name, types.ModuleType(name)).__path__ = []
    scripts = ["evalInstanceLevelSemanticLabeling", "evalPixelLevelSemanticLabeling"]
    for end in ["", ".helpers", ".helpers.labels", ".helpers.csHelpers", ".evaluation"]:
        sys.modules[f"{prefix}.{base}{end}"] = importlib.import_module(base + end)
    for script in scripts:
        module = importlib.import_module(f"{base}.evaluation.{script}")
        module.np = Numpy1()
        sys.modules[f"{prefix}.{base}.evaluation.{script}"] = module
    instance = sys.modules[f"{base}.evaluation.{scripts[0]}"]
    write = instance.writeDict2JSON
    instance.writeDict2JSON = lambda d, f: None if os.path.basename(f) == "matches.json" else write(d, f)


def cityscapes_evaluate(dataset, predictions) -> dict[str, float]:
    _mend_cityscapes()
    import torch
    from detectron2.evaluation import CityscapesInstanceEvaluator, CityscapesSemSegEvaluator

    semantic = dataset.metadata["tasks"] == ["sem_seg"]
    name = _metadata(thing_classes=dataset.metadata["thing_classes"], gt_dir=dataset.metadata["gt_dir"])
    evaluator = (CityscapesSemSegEvaluator if semantic else CityscapesInstanceEvaluator)(name)
    evaluator.reset()
    by_id = {p.image_id: p for p in predictions}
    for record in dataset.records:
        p = by_id[record["image_id"]]
        if semantic:
            output = {"sem_seg": torch.nn.functional.one_hot(torch.tensor(p.sem_seg), 19).permute(2, 0, 1)}
        else:
            output = {"instances": _instances((record["height"], record["width"]), p)}
        evaluator.process([record], [output])
    (scores,) = evaluator.evaluate().values()
    return {key: float(value) for key, value in scores.items()}


def densepose_evaluate(dataset, predictions) -> dict[str, dict[str, float]]:
    """DensePoseCocoEval with its body surface replaced by the generated one; distances from a full matrix."""
    import torch
    from densepose.evaluation.densepose_coco_evaluation import DensePoseCocoEval, DensePoseEvalMode
    from pycocotools.coco import COCO

    mesh = make_mesh()
    n = len(mesh["u"])
    full = np.zeros((n, n))
    full[np.tril_indices(n, -1)] = mesh["distances"]
    full += full.T

    def load(self):
        self.PDIST_transform = mesh["vertex"]
        uv, number = np.stack([mesh["u"], mesh["v"]]), np.arange(n) + 1
        self.Part_UVs = [uv[:, mesh["part"] == i + 1] for i in range(24)]
        self.Part_ClosestVertInds = [number[mesh["part"] == i + 1] for i in range(24)]
        self.Part_ids = mesh["part"]
        self.Mean_Distances = np.array([0, 0.351, 0.107, 0.126, 0.237, 0.173, 0.142, 0.128, 0.150])
        parts = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8]
        self.CoarseParts = np.array(parts)

    def distances(self, truth, guess):
        pairs = zip(truth.astype(int), guess.astype(int), strict=True)
        return np.array([full[a - 1, b - 1] if b > 0 else np.inf for a, b in pairs if a > 0])

    DensePoseCocoEval._loadGEval = load
    DensePoseCocoEval.getDistancesUV = distances
    results = []
    ids = {v: k for k, v in dataset.metadata["thing_dataset_id_to_contiguous_id"].items()}
    for p in predictions:
        for box, score, cls, surface in zip(p.boxes, p.scores, p.classes, p.densepose, strict=True):
            iuv = np.concatenate(
                [surface["labels"][None], np.clip(surface["uv"] * 255, 0, 255).astype(np.uint8)]
            )
            results.append(
                {
                    "image_id": p.image_id,
                    "category_id": ids[int(cls)],
                    "score": float(score),
                    "bbox": [float(v) for v in (box[0], box[1], box[2] - box[0], box[3] - box[1])],
                    "densepose": types.SimpleNamespace(labels_uv_uint8=torch.tensor(iuv.astype(np.uint8))),
                }
            )
    gt = COCO(dataset.metadata["json_file"])
    dt = gt.loadRes(results)
    out = {}
    for mode in ("GPS", "GPSM", "IOU"):
        run = DensePoseCocoEval(gt, dt, "densepose", dpEvalMode=getattr(DensePoseEvalMode, mode))
        run.evaluate()
        run.accumulate()
        run.summarize()
        out[mode] = dict(zip(("AP", "AP50", "AP75", "APm", "APl"), map(float, run.stats[:5]), strict=True))
    return out


def _city(dataset, predictions, _):
    scores = cityscapes_evaluate(dataset, predictions)
    if "IoU" in scores:
        return {"sem_seg": {"mIoU" if k == "IoU" else k: v for k, v in scores.items()}}
    return {"segm": scores}


def _lvis(dataset, predictions, work):
    # It leaves lvis's -1 as -100 percent.
    result = lvis_evaluate(dataset, predictions, work)
    return {t: {k: math.nan if v < 0 else v for k, v in values.items()} for t, values in result.items()}


def _densepose(dataset, predictions, _):
    names = {"GPS": "densepose_gps", "GPSM": "densepose_gpsm", "IOU": "densepose_segm"}
    result = densepose_evaluate(dataset, predictions)
    return {names[m]: {k: math.nan if v < 0 else 100 * v for k, v in s.items()} for m, s in result.items()}


# task of `scenes.VAL` -> its scores by Detectron2, in the shape and names of `transfer.evaluation`
ORACLES = {
    "coco": coco_evaluate,
    "keypoints": coco_evaluate,
    "lvis_v0.5": _lvis,
    "lvis_v1": _lvis,
    "cityscapes_instance": _city,
    "cityscapes_semantic": _city,
    "voc_semantic": lambda dataset, predictions, _: {"sem_seg": sem_seg_evaluate(dataset, predictions)},
    "densepose": _densepose,
}
