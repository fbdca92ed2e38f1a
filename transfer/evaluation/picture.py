"""Draws a few test images with truth and predictions, to see at a glance what the numbers mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from boltons.fileutils import atomic_save

from transfer.datasets.base import Dataset
from transfer.datasets.class_maps import read_class_map
from transfer.datasets.images import open_rgb
from transfer.datasets.mask_images import IGNORE
from transfer.datasets.voc_segmentation import voc_palette
from transfer.evaluation.prediction import Prediction

SHOWN_SCORE = 0.5
_BOX_LEGEND = f"truth dashed white, predictions above {SHOWN_SCORE} in colour"
_TINT = 0.6  # share of the class's colour in a pixel


def save_samples(
    dataset: Dataset[Any], predictions: Sequence[Prediction], path: Path, count: int = 8
) -> None:
    """Draws `count` images spread over the set.

    Boxes: truth dashed in white, predictions above 0.5 in colour. Class maps: truth above, prediction below.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no global state, no display
    from matplotlib.figure import Figure

    chosen = np.unique(np.linspace(0, len(dataset.records) - 1, count).round().astype(int))
    columns = min(4, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(3 * columns, 3.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    semantic = "sem_seg" in dataset.metadata.get("tasks", ())
    by_id = {prediction.image_id: prediction for prediction in predictions}
    for axis in axes:
        axis.axis("off")
    for axis, index in zip(axes, chosen, strict=False):
        record = dataset.records[index]
        axis.set_title(str(record["image_id"]), fontsize=7)
        prediction = by_id.get(record["image_id"])
        if semantic:
            _draw_class_maps(axis, record, prediction, dataset.metadata["sem_seg_encoding"])
        else:
            _draw(axis, record, prediction, dataset.metadata["thing_classes"])
    legend = "truth above, prediction below" if semantic else _BOX_LEGEND
    figure.suptitle(f"{dataset.name}: {legend}")
    with atomic_save(str(path), overwrite_part=True) as file:
        figure.savefig(file, format="png", dpi=100)


def _draw(axis: Any, record: dict[str, Any], prediction: Prediction | None, classes: Sequence[str]) -> None:
    axis.imshow(np.asarray(open_rgb(record["file_name"])))
    for annotation in record["annotations"]:
        _box(axis, annotation["bbox"], "white", "", dashed=True)
    if prediction is None:
        return
    for box, score, label in zip(prediction.boxes, prediction.scores, prediction.classes, strict=True):
        if score >= SHOWN_SCORE:
            _box(axis, box, f"C{int(label) % 10}", f"{classes[int(label)]} {score:.2f}")


def _draw_class_maps(axis: Any, record: dict[str, Any], prediction: Prediction | None, encoding: str) -> None:
    pixels = np.asarray(open_rgb(record["file_name"]))
    maps = [read_class_map(record["sem_seg_file_name"], encoding)]
    if prediction is not None and prediction.sem_seg is not None:
        maps.append(prediction.sem_seg)
    axis.imshow(np.concatenate([tinted(pixels, classes) for classes in maps], axis=0))


def tinted(pixels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the image in the colours of its (H, W) classes; ignored pixels stay as they are."""
    colours = np.array(voc_palette(), np.float32).reshape(-1, 3)[classes]
    tint = np.where(classes == IGNORE, 0, _TINT)[:, :, None]
    return (pixels * (1 - tint) + colours * tint).astype(np.uint8)


def _box(axis: Any, box: Sequence[float], colour: str, text: str, dashed: bool = False) -> None:
    from matplotlib.patches import Rectangle

    x0, y0, x1, y1 = map(float, box)
    style = "--" if dashed else "-"
    axis.add_patch(
        Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.2, linestyle=style)
    )
    if text:
        axis.text(x0, y0, text, fontsize=6, color="white", backgroundcolor=colour, verticalalignment="bottom")
