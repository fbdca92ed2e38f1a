"""Generates a VOC devkit: drawn objects of a few VOC classes, in the folders of VOC2007 or VOC2012.

VOC2012 also gets SegmentationClass (palette masks with a border of 255 around objects) and its four lists.
Trainval has `train_images`, half of them train and the rest val; test (2007 only) has `test_images`.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

from transfer.datasets.synthetic.drawing import Drawn, Look, scene
from transfer.datasets.synthetic.texture import Texture
from transfer.datasets.voc import CLASSES
from transfer.datasets.voc_segmentation import voc_palette

LOOKS = {
    "aeroplane": Look("triangle", Texture("stripes", 0.07, 90.0), 0.9),
    "bottle": Look("ellipse", Texture("checks", 0.12, 45.0), 1.9),
    "bicycle": Look("ring", Texture("dots", 0.09), 1.0),
    "tvmonitor": Look("box", Texture("bricks", 0.12), 0.75),
}
DIFFICULT = 0.03  # share of objects marked difficult: trained on, not scored
JPEG_QUALITY = 90


def write_voc_kit(
    folder: Path, year: int, *, train_images: int, test_images: int, image_size: int, seed: int
) -> None:
    """Writes Annotations, ImageSets/Main and JPEGImages into `folder`."""
    pools = {"train": (train_images + 1) // 2, "val": train_images // 2}
    if year == 2007:
        pools["test"] = test_images
    for sub in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (folder / sub).mkdir(parents=True)
    ids: dict[str, list[str]] = {}
    number = 0
    for code, (split, count) in enumerate(pools.items()):
        ids[split] = []
        for index in range(count):
            number += 1
            image_id = f"{number:06d}" if year == 2007 else f"2012_{number:06d}"
            rng = np.random.default_rng([seed, year, code, index])
            _write_image(folder, image_id, rng, image_size, year)
            ids[split].append(image_id)
    ids["trainval"] = ids["train"] + ids["val"]
    for split, of_split in ids.items():
        _write_list(folder / "ImageSets" / "Main" / f"{split}.txt", of_split)
    if year == 2012:
        _write_segmentation_lists(folder, ids)


def _write_list(path: Path, ids: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{i}\n" for i in ids))


def _write_segmentation_lists(folder: Path, ids: dict[str, list[str]]) -> None:
    """Writes the four lists; train_aug is train and half of val, as a stand-in for SBD's further images."""
    extra = ids["val"][: len(ids["val"]) // 2]
    for split, of_split in {**ids, "train_aug": ids["train"] + extra}.items():
        _write_list(folder / "ImageSets" / "Segmentation" / f"{split}.txt", of_split)
    aug = folder / "SegmentationClassAug"
    aug.mkdir()
    for image_id in ids["train"] + extra:
        with Image.open(folder / "SegmentationClass" / f"{image_id}.png") as mask:
            indices = np.array(mask)
        Image.fromarray(indices).save(aug / f"{image_id}.png")  # as grey, like the usual archive


def _write_image(folder: Path, image_id: str, rng: np.random.Generator, image_size: int, year: int) -> None:
    sides = [image_size, int(round(image_size * rng.uniform(0.75, 1.0)))]
    width, height = sides if rng.random() < 0.7 else sides[::-1]
    image, objects = scene(rng, LOOKS, width, height)
    image.save(folder / "JPEGImages" / f"{image_id}.jpg", quality=JPEG_QUALITY)
    masks = year == 2012
    if masks:
        _write_mask(folder / "SegmentationClass" / f"{image_id}.png", objects, width, height)
    body = "".join(_object(o, int(rng.random() < DIFFICULT)) for o in objects)
    (folder / "Annotations" / f"{image_id}.xml").write_text(
        f"<annotation>\n\t<folder>VOC{year}</folder>\n\t<filename>{escape(image_id)}.jpg</filename>\n"
        f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<segmented>{int(masks)}</segmented>\n{body}</annotation>\n"
    )


def _write_mask(path: Path, objects: list[Drawn], width: int, height: int) -> None:
    classes = np.zeros((height, width), np.uint8)
    for drawn in objects:
        classes[drawn.mask] = 1 + CLASSES.index(drawn.name)
    border = np.zeros((height, width), bool)  # where a pixel differs from its neighbour
    border[:, 1:] |= classes[:, 1:] != classes[:, :-1]
    border[1:] |= classes[1:] != classes[:-1]
    classes[border] = 255
    image = Image.fromarray(classes)
    image.putpalette(voc_palette())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _object(drawn: Drawn, difficult: int) -> str:
    x0, y0, x1, y1 = drawn.box()
    sides = (("xmin", x0 + 1), ("ymin", y0 + 1), ("xmax", x1), ("ymax", y1))  # 1-based, inclusive
    box = "".join(f"\t\t\t<{side}>{value}</{side}>\n" for side, value in sides)
    return (
        f"\t<object>\n\t\t<name>{drawn.name}</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        f"\t\t<difficult>{difficult}</difficult>\n\t\t<bndbox>\n{box}\t\t</bndbox>\n\t</object>\n"
    )
