"""Computes DensePose AP: like keypoint AP, with geodesic point similarity (GPS) in the place of OKS.

GPS of a person and a detection is the mean over labelled points of exp(-d^2 / (2 k^2)), d the geodesic
distance between the labelled and the predicted surface point and k the mean distance of its body part. GPSm
is the geometric mean of GPS and the overlap of the masks. The numbers equal those of Detectron2's
DensePoseCocoEval, also where people carry no labels.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.cocoeval import COCOeval

from transfer.datasets.base import Dataset
from transfer.datasets.coco.reader import CocoTruth
from transfer.evaluation.coco.backends import indexed, truth_document
from transfer.evaluation.coco.detections import detections, tasks_of
from transfer.evaluation.coco.metric import evaluate_coco
from transfer.evaluation.densepose.geodesics import load_surface
from transfer.evaluation.densepose.similarity import grouped, similarities
from transfer.evaluation.names import PEOPLE
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.scores import Scores, percent

_NEAR = 0.8  # a detection on an unlabelled person, by its box


def evaluate_densepose(dataset: Dataset[CocoTruth], predictions: Sequence[Prediction]) -> Scores:
    """Scores "bbox" as COCO, and AP, AP50, AP75, APm, APl of "densepose_gps", "..._gpsm" and "..._segm".

    By class there is the boxes' table alone: person is the only class.
    """
    scores = evaluate_coco(_boxes_only(dataset), predictions)
    if "densepose" in tasks_of(dataset, predictions):
        for name, stats in _runs(dataset, predictions).items():
            named = zip(PEOPLE, stats, strict=False)
            scores.summary[f"densepose_{name}"] = {key: percent(v) for key, v in named}
    return scores


def _boxes_only(dataset: Dataset[CocoTruth]) -> Dataset[CocoTruth]:
    metadata = {**dataset.metadata, "tasks": ["bbox"]}
    return Dataset(dataset.name, dataset.records, metadata, dataset.summary, dataset.ground_truth)


def _runs(dataset: Dataset[CocoTruth], predictions: Sequence[Prediction]) -> dict[str, np.ndarray]:
    truth = dataset.ground_truth
    found = detections(dataset, predictions)
    results = found.results("bbox")
    for result, surface in zip(results, (d for p in predictions for d in p.densepose or []), strict=True):
        result["densepose"] = surface
    document = truth_document(truth, "bbox")
    for n, annotation in enumerate(document["annotations"]):
        labels = truth.table.densepose.get(n)
        annotation.update(labels or {"segmentation": truth.table.segmentation(n)})
    mesh = load_surface(Path(dataset.metadata["data_root"]))
    with contextlib.redirect_stdout(io.StringIO()):
        gt, dt = indexed(document, results)
        tables = similarities(gt, dt, mesh)
        out = {}
        for name in ("gps", "gpsm", "segm"):
            run = _Evaluation(gt, dt, {key: table[name] for key, table in tables.items()}, tables)
            run.evaluate()
            run.accumulate()
            run.summarize()
            out[name] = np.asarray(run.stats, float)
    return out


class _Evaluation(COCOeval):
    """COCO's keypoint protocol (20 detections, no small people) over given similarities.

    similarity: (image id, category id) -> (D, G), rows by falling score. boxes: as `similarities` returns.
    """

    def __init__(self, gt: Any, dt: Any, similarity: dict[Any, np.ndarray], boxes: dict[Any, dict[str, Any]]):
        super().__init__(gt, dt, "keypoints")
        self._similarity, self._boxes = similarity, boxes

    def _prepare(self) -> None:
        self._gts, self._dts = grouped(self.cocoGt), grouped(self.cocoDt)
        for group in self._gts.values():
            for g in group:
                g["ignore"] = int("dp_x" not in g)  # a person without labelled points is not judged
        self.evalImgs: list[Any] = []
        self.eval: dict[str, Any] = {}

    def computeOks(self, image_id: int, category_id: int) -> Any:
        return self._similarity.get((image_id, category_id), [])

    def evaluateImg(self, image_id: int, category_id: int, area: Any, max_det: int) -> Any:
        gt, dt = self._gts.get((image_id, category_id), []), self._dts.get((image_id, category_id), [])
        if not gt and not dt:
            return None
        ignored = np.array([bool(g["ignore"]) or not area[0] <= g["area"] <= area[1] for g in gt], bool)
        order = np.argsort(ignored, kind="mergesort")
        gt, ignored = [gt[i] for i in order], ignored[order]
        ranks = np.argsort([-d["score"] for d in dt], kind="mergesort")[:max_det]
        dt = [dt[i] for i in ranks]
        crowd = [bool(g["iscrowd"]) for g in gt]
        matched_gt = np.zeros((len(self.params.iouThrs), len(gt)))
        matched_dt = np.zeros((len(self.params.iouThrs), len(dt)))
        # Where nobody is to be judged, which holds for nobody at all, no detection is judged either.
        ignored_dt = np.full(matched_dt.shape, bool(ignored.all()))
        if len(gt) and len(dt):
            values = self._similarity[image_id, category_id][:, order]
            boxes = self._boxes[image_id, category_id]["box"][:, order]
            for t, threshold in enumerate(self.params.iouThrs):
                for d in range(len(dt)):
                    m = _best(values[d], min(threshold, 1 - 1e-10), matched_gt[t], ignored, crowd)
                    if m >= 0:
                        ignored_dt[t, d] = ignored[m]
                        matched_dt[t, d], matched_gt[t, m] = gt[m]["id"], dt[d]["id"]
            # As published, on the state of the last threshold: a detection that matched nobody, but whose
            # box lies on a person, is judged if that person is.
            for d in np.flatnonzero(matched_dt[-1] == 0).tolist():
                free = (matched_gt[-1] == 0) | np.array(crowd)
                near = np.where(free & (boxes[d] >= _NEAR), boxes[d], -1.0)
                if near.max() < 0:
                    continue
                on = len(near) - 1 - near[::-1].argmax()  # the last of equals
                ignored_dt[:, d] = ignored[on]
                if ignored[on]:
                    matched_dt[-1, d], matched_gt[-1, on] = gt[on]["id"], dt[d]["id"]
        outside = np.array([not area[0] <= d["area"] <= area[1] for d in dt], bool)
        return {
            "image_id": image_id,
            "category_id": category_id,
            "aRng": area,
            "maxDet": max_det,
            "dtMatches": matched_dt,
            "gtMatches": matched_gt,
            "dtScores": [d["score"] for d in dt],
            "gtIgnore": ignored,
            "dtIgnore": ignored_dt | ((matched_dt == 0) & outside),
        }


def _best(
    values: np.ndarray, threshold: float, taken: np.ndarray, ignored: np.ndarray, crowd: list[bool]
) -> int:
    """The free person most similar to a detection, -1 for none; judged people go before ignored ones.

    Of equals it is the last.
    """
    best, m = threshold, -1
    for g, value in enumerate(values.tolist()):
        if taken[g] > 0 and not crowd[g]:
            continue
        if m > -1 and not ignored[m] and ignored[g]:
            break
        if value < best or value == 0.0:
            continue
        best, m = value, g
    return m
