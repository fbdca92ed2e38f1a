"""Lists the sets of the studies: classes, size, sources, and how each is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.studies.data import bccd, coco412, tiny_imagenet
from benchmarks.studies.data.coco_file import Form
from benchmarks.studies.data.labelled import CLASSES_OF, LABELLED
from benchmarks.studies.data.penn_fudan import read_penn_fudan
from benchmarks.studies.data.picture import Picture
from benchmarks.studies.data.raccoon import read_raccoon
from benchmarks.studies.data.voc100 import read_voc100


@dataclass(frozen=True)
class StudySet:
    """A set that suites train and test on.

    read: the splits `train` and `test` of the folder with the sources. tune: the share of `train` that
    becomes `tune`, on which rates are chosen; `fit` is the rest of `train`. version: raised when an image
    or a box could change. maps: whether class maps are made of the instances, besides.
    """

    name: str
    sources: tuple[str, ...]
    classes: tuple[str, ...]
    says: str
    read: Callable[[Path], dict[str, list[Picture]]]
    form: Form = Form()
    tune: float = 0.25
    version: int = 1
    maps: bool = False


SETS = {
    row.name: row
    for row in (
        StudySet(
            "penn_fudan",
            ("PennFudan",),
            ("person",),
            "street images, masks of persons",
            read_penn_fudan,
        ),
        StudySet(
            "penn_fudan_maps",
            ("PennFudan",),
            ("person",),
            "the images and splits of penn_fudan, with a class map each: person or ground",
            read_penn_fudan,
            maps=True,
        ),
        StudySet(
            "bccd", ("BCCD_Dataset",), bccd.CLASSES, "blood smears, three kinds of cells", bccd.read_bccd
        ),
        StudySet(
            "raccoon",
            ("raccoon_dataset",),
            ("raccoon",),
            "photographs of raccoons from the web, one to three in each",
            read_raccoon,
        ),
        StudySet(
            "coco412",
            ("COCO128", "coco128_yolo", "coco_mini"),
            coco412.CLASSES,
            "COCO images; of the 80 classes three merged groups, the objects of others are background",
            coco412.read_coco412,
        ),
        StudySet(
            "voc100",
            ("voc2012_det100",),
            ("object",),
            "VOC2012 images; all 20 classes merged into one",
            read_voc100,
        ),
        StudySet(
            "mosaics",
            ("tiny-imagenet-200",),
            tuple(f"held_out_{number:02}" for number in range(tiny_imagenet.HELD_OUT)),
            "2 x 2 mosaics of the 20 held-out classes, with the set's boxes: real images, not real scenes",
            tiny_imagenet.read_mosaics,
            Form(long_side=2 * tiny_imagenet.SIDE, quality=80),
            tune=0.2,
        ),
    )
}
LISTS = "tiny_imagenet"  # lists and links for pre-training; no set of a suite
WEIGHTS = "thin_r50"  # weights for `converters`; no images
OTHERS = {  # what has no boxes -> its source
    LISTS: "tiny-imagenet-200",
    WEIGHTS: "thin_r50",
    **dict.fromkeys(CLASSES_OF, "tiny-imagenet-200"),
    **{name: row.source for name, row in LABELLED.items()},
}
OTHER_VERSIONS = {LISTS: 2}  # 1 where there is none; 2: with the list of a fifth
