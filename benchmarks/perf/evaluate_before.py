"""Scores the old way, on each process once for the summary and again for the classes.

It is the baseline of `evaluate_full.py`. COCO goes through the backend of its name, LVIS through the lvis
package over all classes and images at once, Cityscapes through a synced PNG for each mask. Result files are
written by the pure Python encoder.
"""

from __future__ import annotations

import copy
import json
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from boltons.fileutils import atomic_save

from transfer.datasets.base import Dataset
from transfer.datasets.cityscapes.labels import ID_OF, INSTANCES
from transfer.datasets.coco.rle import as_text, decode
from transfer.evaluation import numpy1_libraries as libraries
from transfer.evaluation.coco.backends import BACKENDS
from transfer.evaluation.coco.detections import detections, tasks_of
from transfer.evaluation.names import LVIS as NAMES
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.scores import PerClass, Scores, Summary, classes_of, percent

_COCO_NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def coco(dataset: Dataset, predictions: Sequence[Prediction], backend: str) -> Scores:
    def run() -> dict[str, Any]:
        found = detections(dataset, predictions)
        tasks = tasks_of(dataset, predictions)
        return {task: BACKENDS[backend](dataset.ground_truth, found, task) for task in tasks}

    summary: Summary = {
        task: {name: percent(value) for name, value in zip(_COCO_NAMES, stats, strict=False)}
        for task, (stats, _) in run().items()
    }
    names = dataset.metadata["thing_classes"]
    tables = {task: precision[:, :, :, 0, -1] for task, (_, precision) in run().items()}
    return Scores(summary, {task: classes_of(table, names) for task, table in tables.items()})


def lvis(dataset: Dataset, predictions: Sequence[Prediction], _: str) -> Scores:
    def run() -> dict[str, Any]:
        found = detections(dataset, predictions)
        tasks = tasks_of(dataset, predictions)
        return {task: _lvis_run(dataset.ground_truth, found, task) for task in tasks}

    summary: Summary = {
        task: {name: percent(done.results[name]) for name in NAMES} for task, done in run().items()
    }
    names = dataset.metadata["thing_classes"]
    per_class: PerClass = {
        task: classes_of(done.eval["precision"][:, :, :, 0], names) for task, done in run().items()
    }
    return Scores(summary, per_class)


def _lvis_run(truth: Any, found: Any, task: str) -> Any:
    data, results, evaluation = libraries.lvis()
    table, images = truth.table, truth.images
    columns = {k: table.rows[k].tolist() for k in ("id", "image_id", "category_id", "bbox", "area")}
    columns["segmentation"] = [table.segmentation(n) if task == "segm" else [] for n in range(len(table))]
    gt = data.__new__(data)
    gt.logger = logging.getLogger(__name__)
    entries = zip(images.ids.tolist(), images.width.tolist(), images.height.tolist(), strict=True)
    gt.dataset = {
        "images": [
            {"id": i, "width": w, "height": h, **{key: v[k] for key, v in images.extra.items()}}
            for k, (i, w, h) in enumerate(entries)
        ],
        "categories": truth.categories,
        "annotations": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
    }
    gt._create_index()
    part = "bbox" if task == "bbox" else "segmentation"
    run = evaluation(gt, results(gt, found.results(part), max_dets=300), task)
    run.run()
    return run


def cityscapes(dataset: Dataset, predictions: Sequence[Prediction], _: str) -> Scores:
    keys = {"AP": "ap", "AP50": "ap50%"}
    averages = _city_averages(dataset, predictions)
    summary = {"AP": 100.0 * float(averages["allAp"]), "AP50": 100.0 * float(averages["allAp50%"])}
    classes = _city_averages(dataset, predictions)["classes"].items()
    per_class = {k: {n: 100.0 * float(v[key]) for n, v in classes} for k, key in keys.items()}
    return Scores({"segm": summary}, {"segm": per_class})


def _city_averages(dataset: Dataset, predictions: Sequence[Prediction]) -> dict[str, Any]:
    script = libraries.cityscapes("evalInstanceLevelSemanticLabeling")
    args = copy.copy(script.args)
    args.quiet = True
    with tempfile.TemporaryDirectory(prefix="cityscapes-") as temporary:
        work = Path(temporary).resolve()
        args.predictionPath = str(work)
        truth = [frame.instance_ids for frame in dataset.ground_truth]
        write_masks(dataset, predictions, work)
        guesses = [str(work / f"{frame.image_id}_pred.txt") for frame in dataset.ground_truth]
        script.setInstanceLabels(args)
        found = script.instances2dict(truth, False)
        matches = script.matchGtWithPreds(guesses, truth, found, args)
        with np.errstate(all="ignore"):
            averages: dict[str, Any] = script.computeAverages(script.evaluateMatches(matches, args), args)
    return averages


def write_masks(dataset: Dataset, predictions: Sequence[Prediction], directory: Path) -> None:
    from PIL import Image

    directory.mkdir(parents=True, exist_ok=True)
    for p in predictions:
        lines = []
        for i, rle in enumerate(p.masks or []):
            name = INSTANCES[int(p.classes[i])]
            png = f"{p.image_id}_{i}_{name}.png"
            with atomic_save(str(directory / png), overwrite_part=True) as f:
                Image.fromarray(decode([rle])[0].astype(np.uint8) * 255).save(f, format="PNG")
            lines.append(f"{png} {ID_OF[name]} {float(p.scores[i])!r}\n")
        with atomic_save(str(directory / f"{p.image_id}_pred.txt"), text_mode=True, overwrite_part=True) as f:
            f.write("".join(lines))


def write_results(dataset: Dataset, predictions: Sequence[Prediction], directory: Path) -> None:
    found = detections(dataset, predictions)
    found.masks = [as_text(m) for m in found.masks or []]
    directory.mkdir(parents=True, exist_ok=True)
    with atomic_save(str(directory / "results.json"), text_mode=True, overwrite_part=True) as f:
        json.dump(found.results("bbox", "segmentation"), f)
