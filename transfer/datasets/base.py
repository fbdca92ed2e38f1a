"""What a data set is once it is read: records, metadata and a summary that identifies its content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transfer.datasets.findings import Findings

XYXY = 0  # Detectron2's BoxMode.XYXY_ABS


@dataclass(frozen=True)
class Dataset:
    """One split, in Detectron2's standard form.

    records: file_name (absolute), image_id, height, width and annotations, in the order of the split; a box
        is
        [x0, y0, x1, y1] in 0-based pixels with bbox_mode 0 (XYXY_ABS).
    metadata: JSON types; always `evaluator` (which metric scores it) and the class names of its task.
    summary: images, objects, sha256 of the annotation content and image list and, from `load_dataset`, of
        the images' bytes (images_sha256 is of these alone), odd (count of each recoverable oddity).
    ground_truth: what the metric needs beyond the records, in the form of that metric; None where records
        suffice.
    where: for a user's own data the place that defines it; messages name it so.
    """

    name: str
    records: Sequence[dict[str, Any]]
    metadata: dict[str, Any]
    summary: dict[str, Any]
    ground_truth: Any = field(default=None, repr=False, compare=False)
    where: str = field(default="", compare=False)

    @property
    def title(self) -> str:
        """The name, or for a user's own data the file and key that define it."""
        return self.where or self.name


# reader(name, root, findings): problems go to `findings`, which decides whether the first one stops the run.
Reader = Callable[[str, Path, Findings], Dataset]


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
