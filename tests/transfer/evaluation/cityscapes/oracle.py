"""Cityscapes' metrics as its scripts compute them from files: one PNG a mask, one a class map."""

from __future__ import annotations

import contextlib
import copy
import io

import numpy as np

from transfer.datasets.cityscapes.labels import SEMANTIC
from transfer.evaluation.evaluate import write_predictions
from transfer.evaluation.numpy1_libraries import cityscapes as load_script
from transfer.evaluation.sem_seg.metric import confusion, scores_of


def instances(dataset, predictions, folder):
    """(summary, per class) of the instance script."""
    script = load_script("evalInstanceLevelSemanticLabeling")
    args = copy.copy(script.args)
    args.quiet, args.predictionPath = True, str(folder.resolve())
    write_predictions(dataset, predictions, folder)
    truth = [frame.instance_ids for frame in dataset.ground_truth]
    guesses = [str(folder / f"{frame.image_id}_pred.txt") for frame in dataset.ground_truth]
    script.setInstanceLabels(args)
    found = script.instances2dict(truth, False)
    matches = script.matchGtWithPreds(guesses, truth, found, args)
    with np.errstate(all="ignore"):
        averages = script.computeAverages(script.evaluateMatches(matches, args), args)
    keys = {"AP": "ap", "AP50": "ap50%"}
    classes = averages["classes"].items()
    summary = {"AP": 100.0 * float(averages["allAp"]), "AP50": 100.0 * float(averages["allAp50%"])}
    return summary, {k: {n: 100.0 * float(v[key]) for n, v in classes} for k, key in keys.items()}


def semantic(dataset, predictions, folder):
    """(summary, per class) of the pixel script; its classes have no accuracy, so per class is a second
    count, from the training classes.
    """
    script = load_script("evalPixelLevelSemanticLabeling")
    args = copy.copy(script.args)
    args.quiet, args.JSONOutput, args.colorized = True, False, False
    write_predictions(dataset, predictions, folder)
    guesses = [str(folder / f"{f.image_id}_pred.png") for f in dataset.ground_truth]
    with contextlib.redirect_stdout(io.StringIO()):
        results = script.evaluateImgLists(guesses, [f.label_ids for f in dataset.ground_truth], args)
    keys = {
        "mIoU": "averageScoreClasses",
        "iIoU": "averageScoreInstClasses",
        "IoU_sup": "averageScoreCategories",
        "iIoU_sup": "averageScoreInstCategories",
    }
    _, by_class = scores_of(confusion(dataset, predictions, len(SEMANTIC)))
    per_class = {k: dict(zip(SEMANTIC, map(float, v), strict=True)) for k, v in by_class.items()}
    return {name: 100.0 * float(results[key]) for name, key in keys.items()}, per_class
