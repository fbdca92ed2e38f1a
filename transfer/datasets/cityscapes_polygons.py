"""Cityscapes' polygons drawn into id maps, as its own preparation scripts draw them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from transfer.datasets.cityscapes_labels import HAVE_INSTANCES, ID_OF, NAMES
from transfer.errors import DataError


def draw_polygons(path: str, numbered: bool) -> np.ndarray:
    """(H, W) int32 label ids; numbered: 1000 * id + number for instances. Later polygons lie over earlier
    ones.
    """
    from PIL import Image, ImageDraw

    try:
        document = json.loads(Path(path).read_bytes())
        canvas = Image.new("I", (document["imgWidth"], document["imgHeight"]), 0)
        draw = ImageDraw.Draw(canvas)
        count = dict.fromkeys(HAVE_INSTANCES, 0)
        for thing in document["objects"]:
            if thing.get("deleted"):
                continue
            label = thing["label"]
            group = label not in ID_OF and label.endswith("group")
            label = label.removesuffix("group") if group else label
            if label == "license plate":
                continue  # has no id of its own
            if label not in ID_OF:
                raise DataError(
                    f"{path}: label {thing['label']!r}; expected one of {', '.join(NAMES[:8])}, ..."
                )
            value = ID_OF[label]
            if numbered and label in HAVE_INSTANCES and not group:
                value, count[label] = value * 1000 + count[label], count[label] + 1
            draw.polygon([(float(x), float(y)) for x, y in thing["polygon"]], fill=value)
    except (KeyError, TypeError, ValueError, OSError) as e:
        if isinstance(e, DataError):
            raise
        raise DataError(f"{path}: not Cityscapes polygons ({type(e).__name__}: {e})") from None
    return np.array(canvas)
