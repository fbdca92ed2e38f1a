"""Cityscapes' own metrics through cityscapesscripts: instance AP, and class and category IoU with instance
weights.

The library's functions are called one by one with arguments of our own, so that its global state, its
ground-truth cache and the files that it likes to write into the working directory are never in play.
"""

from __future__ import annotations

import contextlib
import copy
import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.cityscapes import Frame, instance_map
from transfer.datasets.cityscapes_labels import SEMANTIC
from transfer.datasets.cityscapes_polygons import draw_polygons
from transfer.errors import DataError
from transfer.evaluation.cityscapes_files import write_instances, write_text_index
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.private_modules import cityscapes as load_script
from transfer.evaluation.sem_seg import confusion, scores_of
from transfer.evaluation.sem_seg_files import write_sem_seg

Scores = dict[str, dict[str, float]]


def evaluate_cityscapes_instances(dataset: Dataset, predictions: Sequence[Prediction]) -> Scores:
    """{"segm": {"AP", "AP50"}} in percent; NaN where no image has an instance of a judged class."""
    averages = _instance_averages(dataset, predictions)
    return {"segm": {"AP": 100.0 * float(averages["allAp"]), "AP50": 100.0 * float(averages["allAp50%"])}}


def evaluate_cityscapes_instances_per_class(
    dataset: Dataset, predictions: Sequence[Prediction]
) -> dict[str, Scores]:
    """{"segm": {"AP": {class: percent}, "AP50": {...}}}."""
    classes = _instance_averages(dataset, predictions)["classes"]
    keys = {"AP": "ap", "AP50": "ap50%"}
    return {"segm": {k: {n: 100.0 * float(v[key]) for n, v in classes.items()} for k, key in keys.items()}}


def _instance_averages(dataset: Dataset, predictions: Sequence[Prediction]) -> dict[str, Any]:
    script = load_script("evalInstanceLevelSemanticLabeling")
    args = copy.copy(script.args)
    args.quiet = True
    with tempfile.TemporaryDirectory(prefix="cityscapes-") as temporary, _no_exit():
        work = Path(temporary).resolve()
        args.predictionPath = str(work)
        truth = [_instance_png(frame, work) for frame in dataset.ground_truth]
        write_instances(dataset, predictions, work)
        guesses = [str(write_text_index(work, frame.image_id)) for frame in dataset.ground_truth]
        script.setInstanceLabels(args)
        found = script.instances2dict(truth, False)
        matches = script.matchGtWithPreds(guesses, truth, found, args)
        with np.errstate(all="ignore"):
            return script.computeAverages(script.evaluateMatches(matches, args), args)


def _instance_png(frame: Frame, work: Path) -> str:
    """The published map, or one drawn from the polygons."""
    if frame.instance_ids:
        return frame.instance_ids
    return _save(instance_map(frame), work / f"{frame.image_id}_gtFine_instanceIds.png")


def _save(values: np.ndarray, path: Path) -> str:
    from PIL import Image

    Image.fromarray(values.astype(np.uint16 if values.max(initial=0) > 255 else np.uint8)).save(path)
    return str(path)


def evaluate_cityscapes_sem_seg(dataset: Dataset, predictions: Sequence[Prediction]) -> Scores:
    """{"sem_seg": {"mIoU", "iIoU", "IoU_sup", "iIoU_sup"}} in percent (the last three as Cityscapes names
    them).
    """
    script = load_script("evalPixelLevelSemanticLabeling")
    args = copy.copy(script.args)
    args.quiet, args.JSONOutput, args.colorized = True, False, False
    with tempfile.TemporaryDirectory(prefix="cityscapes-") as temporary, _no_exit():
        work = Path(temporary)
        write_sem_seg(dataset, predictions, work)
        guesses = [str(work / f"{f.image_id}_pred.png") for f in dataset.ground_truth]
        truth = [_label_png(frame, work) for frame in dataset.ground_truth]
        results = script.evaluateImgLists(guesses, truth, args)
    keys = {
        "mIoU": "averageScoreClasses",
        "iIoU": "averageScoreInstClasses",
        "IoU_sup": "averageScoreCategories",
        "iIoU_sup": "averageScoreInstCategories",
    }
    return {"sem_seg": {name: 100.0 * float(results[key]) for name, key in keys.items()}}


def evaluate_cityscapes_sem_seg_per_class(
    dataset: Dataset, predictions: Sequence[Prediction]
) -> dict[str, Scores]:
    """{"sem_seg": {"IoU": {class: percent}, "ACC": {...}}}."""
    _, per_class = scores_of(confusion(dataset, predictions, len(SEMANTIC)))
    return {"sem_seg": {k: dict(zip(SEMANTIC, map(float, v), strict=True)) for k, v in per_class.items()}}


def _label_png(frame: Frame, work: Path) -> str:
    """The script finds the instance map beside the label map by its name, so both are put side by side."""
    if frame.label_ids and frame.instance_ids:
        return frame.label_ids
    labels = work / f"{frame.image_id}_gtFine_labelIds.png"
    if frame.label_ids:
        labels.symlink_to(frame.label_ids)
    else:
        _save(draw_polygons(frame.polygons, numbered=False), labels)
    if not frame.instance_ids and not frame.polygons:
        raise DataError(
            f"{frame.label_ids}: the instance IoU needs instanceIds.png or polygons.json beside it"
        )
    beside = work / f"{frame.image_id}_gtFine_instanceIds.png"
    if frame.instance_ids:
        beside.symlink_to(frame.instance_ids)
    else:
        _save(instance_map(frame), beside)
    return str(labels)


@contextlib.contextmanager
def _no_exit() -> Iterator[None]:
    """The scripts print and call sys.exit where others raise."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            yield
    except SystemExit:
        last = said.getvalue().strip().splitlines()[-1:] or ["no message"]
        raise DataError(f"cityscapesscripts refused: {last[0].removeprefix('ERROR: ')}") from None
