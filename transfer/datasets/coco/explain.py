"""Explains why `table.Collector` could not pack an annotation of a COCO-like file: its slow path.

Only annotations with a missing field, a wrong type or a wrong length come here; `rules` judges values.
"""

from __future__ import annotations

from typing import Any

from transfer.datasets.coco.table import Collector
from transfer.datasets.findings import Findings

_INT64 = 2**63


def explain(collector: Collector, file: str, findings: Findings) -> None:
    """Reports every annotation that `collector` put aside, each under at least one rule."""
    for index, a in collector.bad:
        if not isinstance(a, dict):
            findings.error("not-an-object", file, f"annotation {index}", "value", a, "expected a JSON object")
            continue
        identity = a.get("id")
        record = f"annotation {index} (id {identity})" if "id" in a else f"annotation {index}"
        before = sum(findings.errors.values())
        _explain_one(a, record, file, collector, findings)
        if sum(findings.errors.values()) == before:  # a gap in the rules must not hide the annotation
            findings.error("unreadable", file, record, "annotation", a, "not in the form of COCO annotations")


def _explain_one(a: dict[str, Any], record: str, file: str, collector: Collector, findings: Findings) -> None:
    integers = ["id", "image_id", "category_id"] + (["iscrowd"] if collector.crowds else [])
    if collector.num_keypoints:
        integers.append("num_keypoints")
    for key in integers:
        if key not in a:
            findings.error("missing-field", file, record, key, None, "missing")
        elif _is_number(a[key]) and not -_INT64 <= a[key] < _INT64:  # orjson makes fractions of such integers
            findings.error("huge-number", file, record, key, a[key], "does not fit 64 bits")
        elif not _is_integer(a[key]):
            says = f"expected an integer, got {_kind(a[key])}"
            findings.error("wrong-type", file, record, key, a[key], says)
    if "area" not in a:
        findings.error("missing-field", file, record, "area", None, "missing")
    elif not _is_number(a["area"]):
        findings.error(
            "wrong-type", file, record, "area", a["area"], f"expected a number, got {_kind(a['area'])}"
        )
    _explain_numbers(a, "bbox", 4, record, file, findings)
    if collector.num_keypoints:
        _explain_numbers(a, "keypoints", 3 * collector.num_keypoints, record, file, findings)
    if a.get("ignore"):
        findings.error("ignore-flag", file, record, "ignore", a["ignore"], "not part of COCO; use iscrowd")
    if collector.masks:
        _explain_shape(a, record, file, findings)


def _explain_numbers(
    a: dict[str, Any], key: str, length: int, record: str, file: str, findings: Findings
) -> None:
    if key not in a:
        findings.error("missing-field", file, record, key, None, "missing")
    elif not isinstance(a[key], list):
        findings.error("wrong-type", file, record, key, a[key], f"expected a list, got {_kind(a[key])}")
    elif len(a[key]) != length:
        says = f"has {len(a[key])} numbers, expected {length}"
        findings.error("wrong-length", file, record, key, a[key], says)
    else:
        for i, value in enumerate(a[key]):
            if not _is_number(value):
                says = f"expected a number, got {_kind(value)}"
                findings.error("wrong-type", file, record, f"{key}[{i}]", value, says)
            elif isinstance(value, int) and not -_INT64 <= value < _INT64:  # too long a number for a float
                findings.error("huge-number", file, record, f"{key}[{i}]", value, "does not fit 64 bits")


def _explain_shape(a: dict[str, Any], record: str, file: str, findings: Findings) -> None:
    if "segmentation" not in a:
        says = "missing; a data set of boxes alone says so (tasks: [bbox])"
        findings.error("missing-field", file, record, "segmentation", None, says)
        return
    shape = a["segmentation"]
    if isinstance(shape, dict):
        _explain_rle(shape, record, file, findings)
    elif not isinstance(shape, list):
        says = f"expected polygons (list of lists) or a run-length object, got {_kind(shape)}"
        findings.error("wrong-type", file, record, "segmentation", shape, says)
    elif shape and all(_is_number(v) for v in shape):
        says = "one flat list of numbers; expected a list of polygons"
        findings.error("flat-polygon", file, record, "segmentation", shape, says)
    else:
        for i, polygon in enumerate(shape):
            field = f"segmentation[{i}]"
            if not isinstance(polygon, list):
                says = f"expected a list of numbers, got {_kind(polygon)}"
                findings.error("wrong-type", file, record, field, polygon, says)
            elif not all(_is_number(v) for v in polygon):
                says = "expected x, y, x, y, ... as numbers"
                findings.error("wrong-type", file, record, field, polygon, says)


def _explain_rle(rle: dict[str, Any], record: str, file: str, findings: Findings) -> None:
    for key in ("size", "counts"):
        if key not in rle:
            findings.error("missing-field", file, record, f"segmentation/{key}", None, "missing")
            return
    size, counts = rle["size"], rle["counts"]
    if not (isinstance(size, list) and len(size) == 2 and all(_is_integer(v) for v in size)):
        findings.error("bad-rle", file, record, "segmentation/size", size, "expected [height, width]")
    elif isinstance(counts, list):
        if not all(_is_integer(v) and v >= 0 for v in counts):
            says = "expected run lengths of 0 or more"
            findings.error("bad-rle", file, record, "segmentation/counts", counts, says)
        elif sum(counts) != size[0] * size[1]:
            says = (
                f"run lengths add up to {sum(counts)}, the mask has {size[0]}x{size[1]} = {size[0] * size[1]}"
            )
            findings.error("bad-rle", file, record, "segmentation/counts", counts, says)
    elif not isinstance(counts, str):
        says = f"expected a string or a list, got {_kind(counts)}"
        findings.error("bad-rle", file, record, "segmentation/counts", counts, says)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    names = {
        str: "text",
        type(None): "null",
        dict: "an object",
        list: "a list",
        bool: "true or false",
        float: "a fraction",
    }
    return names.get(type(value), type(value).__name__)
