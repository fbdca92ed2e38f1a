"""Writes small devkits by hand for tests: only what a test asks for, images optional."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.conftest import blank_image

OBJECT = """<object><name>{name}</name><pose>Unspecified</pose><truncated>0</truncated>
<difficult>{difficult}</difficult>
<bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>
"""
XML = """<annotation><filename>{id}.jpg</filename>
<size><width>{width}</width><height>{height}</height><depth>3</depth></size>
{objects}</annotation>
"""


def voc_xml(image_id: str, width: int, height: int, objects: list[tuple]) -> str:
    """objects: (class name, x0, y0, x1, y1, difficult), corners as in the XML (1-based, inclusive)."""
    body = "".join(
        OBJECT.format(name=n, x0=x0, y0=y0, x1=x1, y1=y1, difficult=d) for n, x0, y0, x1, y1, d in objects
    )
    return XML.format(id=image_id, width=width, height=height, objects=body)


def write_voc(
    root: Path,
    images: dict[str, tuple[int, int, list[tuple]]],
    year: int = 2007,
    split: str = "test",
    real=False,
) -> Path:
    """images: id -> (width, height, objects). Images are empty files unless `real`."""
    kit = root / f"VOC{year}"
    for sub in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (kit / sub).mkdir(parents=True, exist_ok=True)
    for image_id, (width, height, objects) in images.items():
        (kit / "Annotations" / f"{image_id}.xml").write_text(voc_xml(image_id, width, height, objects))
        path = kit / "JPEGImages" / f"{image_id}.jpg"
        if real:
            Image.new("RGB", (width, height), (90, 120, 150)).save(path)
        else:
            blank_image(path)
    (kit / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{i}\n" for i in images))
    return kit
