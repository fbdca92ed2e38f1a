"""Checks DensePose annotations: labelled points and part masks in a 256 x 256 frame of the box."""

from __future__ import annotations

from typing import Any

import numpy as np

from transfer.datasets.coco.densepose import COARSE_MASKS, FRAME, PATCHES, POINT_KEYS
from transfer.datasets.coco.rle import run_lengths
from transfer.datasets.coco.table import Annotations
from transfer.datasets.findings import Findings


def check_densepose(table: Annotations, file: str, findings: Findings) -> np.ndarray:
    """Judges the dp_* fields; returns (N,) bool: sound, or without any."""
    good = np.ones(len(table), bool)
    for n, fields in table.densepose.items():
        record = f"annotation id {table.rows['id'][n]} (image {table.rows['image_id'][n]})"
        before = sum(findings.errors.values())
        points = _points(fields, record, file, findings)
        if points is not None:
            _check_points(points, record, file, findings)
        _check_masks(fields.get("dp_masks"), record, file, findings)
        good[n] = sum(findings.errors.values()) == before
    return good


def _points(fields: dict[str, Any], record: str, file: str, findings: Findings) -> np.ndarray | None:
    """(5, P) x, y, I, U, V, or None after reporting why not."""
    missing = [key for key in POINT_KEYS if key not in fields]
    if missing:
        findings.error("densepose-missing", file, record, missing[0], None, "missing beside dp_x")
        return None
    try:
        lengths = [len(fields[key]) for key in POINT_KEYS]
        if len(set(lengths)) > 1 or not lengths[0]:
            says = "must be of equal length and not empty"
            findings.error("densepose-length", file, record, ", ".join(POINT_KEYS), lengths, says)
            return None
        return np.array([fields[key] for key in POINT_KEYS], float)
    except (TypeError, ValueError):
        findings.error("densepose-type", file, record, "dp_*", None, "must be lists of numbers")
        return None


def _check_points(points: np.ndarray, record: str, file: str, findings: Findings) -> None:
    part = points[2]
    no_patch = (part < 1) | (part > PATCHES) | (part != np.round(part))
    no_uv = (points[3:] < 0).any(0) | (points[3:] > 1).any(0)
    outside = (points[:2] < 0).any(0) | (points[:2] > FRAME).any(0)
    rules = (
        ("densepose-part", no_patch, "dp_I", 2, f"must be 1 to {PATCHES}"),
        ("densepose-uv", no_uv, "dp_U, dp_V", 3, "must lie in [0, 1]"),
        ("densepose-frame", outside, "dp_x, dp_y", 0, f"must lie in [0, {FRAME}], the frame of the box"),
    )
    finite = np.isfinite(points).all(0)
    if not finite.all():
        bad = points[:, ~finite][:, 0].tolist()
        findings.error("not-a-number", file, record, "dp_*", bad, "must be finite numbers")
    for rule, mask, field, row, says in rules:
        hits = np.flatnonzero(mask & finite)
        if len(hits):
            findings.error(rule, file, record, field, points[row, hits[0]].item(), says)


def _check_masks(masks: Any, record: str, file: str, findings: Findings) -> None:
    if masks is None:
        findings.error("densepose-missing", file, record, "dp_masks", None, "missing beside dp_x")
        return
    if not isinstance(masks, list) or len(masks) != COARSE_MASKS:
        got = len(masks) if isinstance(masks, list) else masks
        findings.error("densepose-masks", file, record, "dp_masks", got, f"expected a list of {COARSE_MASKS}")
        return
    for i, mask in enumerate(masks):
        if not mask:
            continue  # a part that is not seen
        whole = (
            isinstance(mask, dict)
            and mask.get("size") == [FRAME, FRAME]
            and isinstance(mask.get("counts"), str)
        )
        if not whole or run_lengths(mask["counts"], FRAME * FRAME) is None:
            says = f"expected a run-length mask of {FRAME}x{FRAME}"
            findings.error("densepose-masks", file, record, f"dp_masks[{i}]", mask, says)
