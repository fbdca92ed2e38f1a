"""Scenes that tidecv was run on, and how it is run: `python -m tests.transfer.evaluation.coco.tidecv_scenes`
remakes golden/tide.json where tidecv is importable.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.transfer.evaluation.coco import scenes
from transfer.datasets.base import Dataset
from transfer.datasets.coco.rle import whole_mask
from transfer.evaluation.coco.detections import detections
from transfer.evaluation.coco.lvis import judged
from transfer.evaluation.prediction import Prediction

SCENES = [(lvis, seed) for lvis in (False, True) for seed in range(12)]
# What tidecv has otherwise: recalls in their last bits; a crowd must cover more than half of a detection.
TIDECVS = {"RECALLS": np.arange(101) / 100, "COVERED": np.nextafter(0.5, 1)}
GOLDEN = Path(__file__).parents[1] / "golden" / "tide.json"


def make_scene(lvis: bool, seed: int) -> tuple[Dataset, list[Prediction]]:
    """A scene of boxes and masks, often of a wrong class, without equal scores: tidecv has its own order."""
    rng = np.random.RandomState(10_000 + seed)
    doc = scenes.document(rng, "segm", rng.randint(3, 9), rng.randint(2, 6), lvis)
    data = scenes.dataset(doc, ("bbox", "segm"), "lvis" if lvis else "coco")
    found = scenes.predictions(rng, doc, ("bbox", "segm"))
    for p in found:
        p.scores = (rng.permutation(len(p)) + 1 + 0.9 * rng.rand(len(p))) / (len(p) + 3)
        p.boxes = p.boxes + rng.uniform(0, 0.2, p.boxes.shape).astype(np.float32)
        p.masks = [scenes._mask(box) for box in p.boxes]
        astray = rng.rand(len(p)) < 0.15
        p.classes = np.where(astray, rng.randint(0, len(doc["categories"]), len(p)), p.classes)
    return data, found


def tidecv_errors(
    data: Dataset, predictions: list[Prediction], task: str
) -> tuple[float, dict[str, float], dict[str, int]]:
    """(AP50, costs, counts) by tidecv; its mean over the classes with objects, as it else counts others as 0.

    Detections that do not count are left out of the counts; tidecv has them in.
    """
    from tidecv import TIDE

    truth, found = _tidecv_data(data, predictions, task)
    known = {one["class"] for one in truth.annotations if not one["ignore"]}
    tide = TIDE(mode=TIDE.BOX if task == "bbox" else TIDE.MASK)
    run = tide.evaluate(truth, found, name="run")

    def mean(made: Any) -> float:
        values = [of.get_ap() for k, of in made.objs.items() if k in known and not of.is_empty()]
        return sum(values) / len(values) if values else 0.0

    base = mean(run.ap_data)
    costs = {}
    for kind in TIDE._error_types:
        fixed = run.fix_errors(lambda error, kind=kind: isinstance(error, kind))
        costs[kind.short_name] = mean(fixed) - base
    false, lost = TIDE._special_error_types
    costs["FP"] = mean(run.fix_errors(transform=false.fix)) - base
    costs["FN"] = mean(run.fix_errors(false_neg_dict=run.false_negatives)) - base
    counts = {
        kind.short_name: sum(not hasattr(e, "pred") or e.pred["used"] is not None for e in found_errors)
        for kind, found_errors in run.error_dict.items()
    }
    counts["FP"] = sum(n for kind, n in counts.items() if kind != "Miss")
    counts["FN"] = sum(map(len, run.false_negatives.values()))
    return base, costs, counts


def _tidecv_data(data: Dataset, predictions: list[Prediction], task: str) -> tuple[Any, Any]:
    from tidecv import Data

    lvis, truth = data.metadata["evaluator"] == "lvis", data.ground_truth
    gt, found = Data("truth"), Data("found", max_dets=10**6)
    ids = [category["id"] for category in truth.categories]
    there: dict[int, set[int]] = {}
    for n, row in enumerate(truth.table.rows):
        image, k = int(row["image_id"]), int(row["category_id"])
        shape = whole_mask(truth.table.segmentation(n), (scenes.SIDE, scenes.SIDE))
        add = gt.add_ignore_region if row["iscrowd"] else gt.add_ground_truth
        add(image, k, row["bbox"].tolist(), shape)
        there.setdefault(image, set()).add(k)
    for image, *lists in zip(truth.images.ids.tolist(), *truth.images.extra.values(), strict=True):
        gt.add_image(image, str(image))
        if lvis:
            absent, partial = lists
            for k in {*ids} - there.get(image, set()) - {*absent} | {*partial}:
                gt.add_ignore_region(image, k)
    for k in ids:
        gt.add_class(k, str(k))
    columns = detections(data, predictions)
    columns = judged(columns, task)[0] if lvis else columns
    for one in columns.results("bbox", "segmentation"):
        found.add_detection(
            one["image_id"], one["category_id"], one["score"], one["bbox"], one["segmentation"]
        )
    return gt, found


def main() -> None:
    made = {}
    for lvis, seed in SCENES:
        for task in ("bbox", "segm"):
            key = f"{'lvis' if lvis else 'coco'} {seed} {task}"
            made[key] = tidecv_errors(*make_scene(lvis, seed), task)
    GOLDEN.write_text(json.dumps(made, indent=0) + "\n")


if __name__ == "__main__":
    main()
