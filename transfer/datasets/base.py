"""Defines a data set once it is read: records, metadata, a summary that identifies its content, its truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from transfer.datasets.findings import Findings

XYXY = 0  # Detectron2's BoxMode.XYXY_ABS
Truth = TypeVar("Truth")


@dataclass(frozen=True)
class Dataset(Generic[Truth]):
    """One split, in Detectron2's standard form.

    records: file_name (absolute), image_id, height, width and annotations, in the order of the split; boxes
        are [x0, y0, x1, y1] in 0-based pixels with bbox_mode 0 (XYXY_ABS).
    metadata: JSON types; always `evaluator` (which metric scores it) and the class names of its task.
    summary: images, objects, sha256 of the annotation content and image list and, from `load_dataset`, of
        the images' bytes (images_sha256 is of these alone), odd (count of each recoverable oddity).
    ground_truth: what its metric scores by, of the type in brackets. Dataset[CocoTruth]: all annotations of
        the file as columns (COCO, LVIS, DensePose). Dataset[list[Frame]]: the files of the maps (Cityscapes).
        Dataset[None]: the records themselves, by their annotations (VOC) or by the class maps that they name
        under sem_seg_file_name.
    where: for a user's own data the place that defines it; messages name it so.
    """

    name: str
    records: Sequence[dict[str, Any]]
    metadata: dict[str, Any]
    summary: dict[str, Any]
    ground_truth: Truth = field(repr=False, compare=False)
    where: str = field(default="", compare=False)

    @property
    def title(self) -> str:
        """The name, or for a user's own data the file and key that define it."""
        return self.where or self.name


# reader(name, root, findings): problems go to `findings`, which decides whether the first one stops the run.
Reader = Callable[[str, Path, Findings], Dataset[Any]]


@dataclass(frozen=True)
class Spec:
    """One row of the registry.

    read: how it is read. layout: where its files are expected under the data root.
    training_images: how many images training may draw, known without the data for the sets that suites are
        trained on; of COCO's only those with an object that is no crowd.
    """

    name: str
    read: Reader
    layout: tuple[str, ...]
    training_images: int | None = None
