"""Computes Cityscapes' instance AP: counts overlaps from the masks; cityscapesscripts matches and averages.

Its own way needs a file for each mask and looks at the whole image for each pair of instances.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.cityscapes.frame import Frame, instance_map
from transfer.datasets.cityscapes.labels import INSTANCES, NAMES, SEMANTIC
from transfer.datasets.coco.rle import runs
from transfer.errors import DataError
from transfer.evaluation.numpy1_libraries import cityscapes as load_script
from transfer.evaluation.prediction import Prediction, check_predictions
from transfer.evaluation.scores import Scores

_VOID = [label for label, name in enumerate(NAMES) if name not in SEMANTIC]
_KEYS = {"AP": "ap", "AP50": "ap50%"}


def evaluate_cityscapes_instances(dataset: Dataset[list[Frame]], predictions: Sequence[Prediction]) -> Scores:
    """{"segm": {"AP", "AP50"}}, and the same by class; NaN where no image has an instance of a class."""
    frames = dataset.ground_truth
    check_instances(dataset, predictions)
    by_id = {p.image_id: p for p in predictions}
    script = load_script("evalInstanceLevelSemanticLabeling")
    args = copy.copy(script.args)
    args.quiet = True
    script.setInstanceLabels(args)
    matches = {
        f.image_id: overlaps(instance_map(f), by_id.get(f.image_id, Prediction(f.image_id))) for f in frames
    }
    with np.errstate(all="ignore"):
        averages = script.computeAverages(_average_precisions(script, matches, args), args)
    summary = {"AP": 100.0 * float(averages["allAp"]), "AP50": 100.0 * float(averages["allAp50%"])}
    classes = averages["classes"].items()
    per_class = {k: {name: 100.0 * float(v[key]) for name, v in classes} for k, key in _KEYS.items()}
    return Scores({"segm": summary}, {"segm": per_class})


def _average_precisions(script: Any, matches: dict[str, Any], args: Any) -> np.ndarray:
    """(1, classes, overlaps), asked for one by one; 0 where instances are there and none is found.

    The script fails for such a class if all of its predictions lie on ground that is not judged.
    """
    table = np.zeros((1, len(args.instLabels), len(args.overlaps)))
    one = copy.copy(args)
    for i, name in enumerate(args.instLabels):
        for k, overlap in enumerate(args.overlaps):
            one.instLabels, one.overlaps = [name], [overlap]
            try:
                table[0, i, k] = script.evaluateMatches(matches, one)[0, 0, 0]
            except IndexError:  # of its empty list of judged predictions
                table[0, i, k] = 0.0
    return table


def check_instances(dataset: Dataset[list[Frame]], predictions: Sequence[Prediction]) -> None:
    """Raises DataError unless these are predictions on the data set, with masks."""
    check_predictions(predictions, (f.image_id for f in dataset.ground_truth), len(INSTANCES))
    for p in predictions:
        if len(p) and p.masks is None:
            raise DataError(
                f"prediction of image {p.image_id!r}: no masks; Cityscapes scores instances by masks"
            )


def overlaps(ids: np.ndarray, prediction: Prediction) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """{"groundTruth" | "prediction": {class: [instance]}} of one image, as the script's assignGt2Preds says.

    ids: (H, W) instance map. Each instance knows the pixels that it shares with those of its class on the
    other side; a prediction also those that it has on ground that is not judged.
    """
    where = f"instance map of image {prediction.image_id!r}"
    pixels = _pixels(ids, where)
    values = np.flatnonzero(pixels)
    labels = np.where(values < 1000, values, values // 1000)
    if labels.max(initial=0) >= len(NAMES):
        raise _bad_id(where, values[labels.argmax()])
    numbers = np.zeros(len(pixels), np.uint16)
    numbers[values] = np.arange(len(values))
    columns = np.ascontiguousarray(numbers[ids].T)  # as masks are stored
    void = np.isin(values, _VOID)
    truth: dict[str, list[dict[str, Any]]] = {name: [] for name in INSTANCES}
    places: dict[str, list[int]] = {name: [] for name in INSTANCES}
    for place, (value, label) in enumerate(zip(values.tolist(), labels.tolist(), strict=True)):
        if NAMES[label] in truth:
            instance = {"instID": value, "labelID": label, "pixelCount": int(pixels[value])}
            # Without depth there is no distance; these are the script's own values.
            truth[NAMES[label]].append(instance | {"medDist": -1, "distConf": 0.0, "matchedPred": []})
            places[NAMES[label]].append(place)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in INSTANCES}
    for i in range(len(prediction)):
        counts = _counts(columns, len(values), prediction, i)
        if not counts.any():
            continue
        name = INSTANCES[int(prediction.classes[i])]
        guess = {
            "imgName": i,  # by which the script tells them apart
            "pixelCount": int(counts.sum()),
            "confidence": float(prediction.scores[i]),
            "voidIntersection": int(counts[void].sum()),
        }
        shared = counts[places[name]].tolist()
        pairs = [(g, n) for g, n in zip(truth[name], shared, strict=True) if n]
        for instance, n in pairs:
            instance["matchedPred"].append(guess | {"intersection": n})
        matched = [{k: v for k, v in g.items() if k != "matchedPred"} | {"intersection": n} for g, n in pairs]
        found[name].append(guess | {"matchedGt": matched})
    return {"groundTruth": truth, "prediction": found}


def _pixels(ids: np.ndarray, where: str) -> np.ndarray:
    """Counts the pixels of each id, some rows at a time, as bincount copies its input to 64 bits."""
    if ids.max(initial=0) >= 1000 * len(NAMES):
        raise _bad_id(where, ids.max())
    n = int(ids.max(initial=0)) + 1
    return np.sum([np.bincount(rows.ravel(), minlength=n) for rows in np.array_split(ids, 16)], axis=0)


def _bad_id(where: str, value: Any) -> DataError:
    expected = f"a label 0..{len(NAMES) - 1}, or 1000 * label + number"
    return DataError(f"{where}: id {value}; expected {expected}")


def _counts(columns: np.ndarray, n: int, prediction: Prediction, i: int) -> np.ndarray:
    """(n,) pixels that mask `i` has on each value of a (W, H) map."""
    assert prediction.masks is not None
    rle = prediction.masks[i]
    where = f"prediction of image {prediction.image_id!r}"
    if tuple(rle["size"]) != columns.shape[::-1]:
        size, expected = "x".join(map(str, rle["size"][::-1])), "x".join(map(str, columns.shape))
        raise DataError(f"{where}: a mask of {size}; expected {expected}, the size of the image")
    try:
        pieces = [columns.ravel()[a:b] for a, b in runs(rle)]
    except DataError as e:
        raise DataError(f"{where}: {e}") from None
    return np.bincount(np.concatenate([np.zeros(0, columns.dtype), *pieces]), minlength=n)
