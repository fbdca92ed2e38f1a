"""Our predictions through Detectron2's evaluators, for the live tests and the golden numbers."""

from __future__ import annotations

import uuid


def _instances(record, prediction):
    import torch
    from detectron2.structures import Boxes, Instances

    out = Instances((record["height"], record["width"]))
    out.pred_boxes = Boxes(torch.tensor(prediction.boxes))
    out.scores = torch.tensor(prediction.scores)
    out.pred_classes = torch.tensor(prediction.classes)
    return out


def voc_evaluate(dataset, predictions) -> dict[str, float]:
    """PascalVOCDetectionEvaluator on a devkit on disk."""
    from detectron2.data import MetadataCatalog
    from detectron2.evaluation import PascalVOCDetectionEvaluator

    name = f"voc_{uuid.uuid4().hex}"
    m = dataset.metadata
    MetadataCatalog.get(name).set(
        thing_classes=m["thing_classes"], dirname=m["dirname"], year=m["year"], split=m["split"]
    )
    evaluator = PascalVOCDetectionEvaluator(name)
    evaluator.reset()
    by_id = {r["image_id"]: r for r in dataset.records}
    for p in predictions:
        record = by_id[p.image_id]
        evaluator.process([record], [{"instances": _instances(record, p)}])
    return {key: float(value) for key, value in evaluator.evaluate()["bbox"].items()}
