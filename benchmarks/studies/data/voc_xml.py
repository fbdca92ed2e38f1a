"""Reads VOC's XML of one image into things. A box counts from 1 and is inclusive, as VOC's devkit says."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

from benchmarks.errors import UsageError
from benchmarks.studies.data.picture import Picture, Thing, opened, size_of

SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_xml(xml: Path, image: Path, category: Mapping[str, int]) -> Picture:
    """The picture of an XML file; `category` gives the class of a name, and a name without one is an error.

    The size is the image's own: some tools write another one. Boxes of no size are left out.
    """
    try:
        objects = list(ET.parse(xml).getroot().iterfind("object"))
        things = []
        for one in objects:
            x0, y0, x1, y1 = (float(one.findtext(f"bndbox/{side}") or "") for side in SIDES)
            if x1 > x0 and y1 > y0:
                box = (x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1)
                things.append(Thing(category[(one.findtext("name") or "").strip()], box))
    except (ET.ParseError, ValueError, KeyError) as error:
        raise UsageError(
            f"{xml}: no annotation of a set of these classes ({error!r}); take it anew"
        ) from None
    return Picture(image.stem, opened(image), size_of(image), things)
