"""Checks that open the image files: is it an image, is it whole, has it the size that the annotation says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from transfer.datasets.findings import Findings

_EXIF_ORIENTATION = 0x0112
_READERS = 8


def check_images(records: Sequence[dict[str, Any]], findings: Findings) -> None:
    """Opens the image of each record; problems go to `findings` in the order of the records."""
    findings.to_open += len(records)
    with ThreadPoolExecutor(_READERS) as pool:
        probes = pool.map(lambda r: _probe(r["file_name"]), records)
        for record, probe in zip(records, probes, strict=True):
            _judge(record, probe, findings)
            findings.opened += 1


def _probe(path: str) -> dict[str, Any]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            probe = {
                "size": image.size,
                "mode": image.mode,
                "orientation": image.getexif().get(_EXIF_ORIENTATION, 1),
                "frames": getattr(image, "n_frames", 1),
            }
            image.load()
            return probe
    except FileNotFoundError:
        return {}  # the reader has reported it
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        empty = os.path.isfile(path) and os.path.getsize(path) == 0
        return {"broken": "empty file" if empty else str(e).replace(path, "file")}


def _judge(record: dict[str, Any], probe: dict[str, Any], findings: Findings) -> None:
    file, image = os.path.basename(record["file_name"]), f"image {record['image_id']}"
    if not probe:
        return
    if "broken" in probe:
        findings.error("bad-image", file, image, "file", None, f"cannot be decoded ({probe['broken']})")
        return
    size = (record["width"], record["height"])
    if probe["size"] != size:
        turned = " (turned by 90 degrees: EXIF orientation?)" if probe["size"] == size[::-1] else ""
        width, height = probe["size"]
        says = f"the annotation says {size[0]}x{size[1]}, the file is {width}x{height}{turned}"
        findings.error("wrong-size", file, image, "size", f"{size[0]}x{size[1]}", says)
    if probe["orientation"] not in (0, 1):
        says = "EXIF asks for a rotation; boxes are taken to fit the pixels as stored"
        findings.oddity("exif-rotation", file, image, "orientation", probe["orientation"], says)
    if probe["mode"] != "RGB":
        findings.oddity("not-rgb", file, image, "mode", probe["mode"], "is converted to RGB when read")
    if probe["frames"] > 1:
        findings.oddity("animated", file, image, "frames", probe["frames"], "only the first frame is read")
