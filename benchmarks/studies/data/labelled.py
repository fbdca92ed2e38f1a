"""Lists the labelled sets of the studies, whose parts are links into the sources under one set of names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.studies.data.tiny_imagenet import for_tuning, held_out, train_of, val_of
from transfer.datasets.image_list.folders import is_image


@dataclass(frozen=True)
class LabelledSet:
    """Images in class folders. parts: train, test and perhaps val -> the folder of the source that it is."""

    source: str
    says: str
    parts: dict[str, str]


LABELLED = {
    "clothing": LabelledSet(
        "clothing-dataset-small",
        "photographs of ten kinds of clothes, split by its authors",
        {"train": "train", "val": "validation", "test": "test"},
    ),
    "scenes": LabelledSet(
        "Intel-Image-Classifier",
        "landscapes and streets, six classes, 150 px",
        {"train": "train", "test": "test"},
    ),
    "imagenette": LabelledSet(
        "imagenette", "ten easy classes of ImageNet, 224 px", {"train": "train", "test": "val"}
    ),
    "cifar10_sample": LabelledSet(
        "cifar10_jpg_6000", "6,000 images of CIFAR-10, 32 px, JPEG", {"train": "train", "test": "test"}
    ),
}
# Parts of Tiny-ImageNet: the name of the set -> its classes, and the words for them.
CLASSES_OF = {
    "held_out": (held_out, "the 20 held-out classes of Tiny-ImageNet, 64 px"),
    "tiny_tune": (for_tuning, "20 classes of Tiny-ImageNet for tuning, 64 px; not those held out"),
}


def link_labelled(name: str, source: Path, folder: Path) -> dict[str, int]:
    """Links every image of the set as `folder/PART/CLASS/NAME`; returns the number of images of each part."""
    if name in CLASSES_OF:
        return _link_classes(source, folder, CLASSES_OF[name][0](source))
    row, counts = LABELLED[name], {}
    for part, below in row.parts.items():
        root = (source / row.source / below).absolute()
        images = [path for path in sorted(root.glob("*/*")) if is_image(path.name)]
        for image in images:
            _link(image, folder / part / image.parent.name)
        counts[part] = len(images)
    return counts


def says_of(name: str) -> str:
    """The words for a labelled set."""
    return CLASSES_OF[name][1] if name in CLASSES_OF else LABELLED[name].says


def _link_classes(source: Path, folder: Path, classes: list[str]) -> dict[str, int]:
    parts = {"train": train_of(source, classes), "test": val_of(source, classes)}
    for part, images in parts.items():
        for image, number, _ in images:
            _link(image.absolute(), folder / part / classes[number - 1])
    return {part: len(images) for part, images in parts.items()}


def _link(image: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / image.name).symlink_to(image)
