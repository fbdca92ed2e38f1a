"""Reads the results of frozen features that pre-training's commands leave: kNN and linear classification.

study/knn/<init>.json       of `python -m pretrain.knn --output`
study/linear/<init>.json    of `python -m pretrain.linear --output`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from results.errors import RecordError

FROZEN = ("knn", "linear")


def read_frozen(path: Path) -> dict[str, float]:
    """Column -> accuracy in per cent: "kNN", or "linear, rate 30" for every rate that was trained.

    All rates are kept: the best of them would be chosen on the test images. RecordError: another form.
    """
    try:
        content: Any = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: {error}; expected a result of pretrain.knn or pretrain.linear") from None
    if isinstance(content, dict) and _is_number(content.get("knn")):
        return {"kNN": float(content["knn"])}
    rates = content.get("top1") if isinstance(content, dict) else None
    if isinstance(rates, dict) and rates and all(map(_is_number, rates.values())):
        return {f"linear, rate {rate}": float(value) for rate, value in rates.items()}
    raise RecordError(
        f'{path}: neither "knn" nor "top1" is in it; expected a result of pretrain.knn or pretrain.linear'
    )


def frozen_columns(root: Path) -> dict[str, dict[str, float]]:
    """Column -> init -> accuracy, over all frozen results of a study's folder."""
    columns: dict[str, dict[str, float]] = {}
    for kind in FROZEN:
        for path in sorted((root / kind).glob("*.json")):
            for column, value in read_frozen(path).items():
                columns.setdefault(column, {})[path.stem] = value
    return columns


def protocols(root: Path) -> Mapping[str, str]:
    """Column -> how it was measured, in words: images, neighbours or epochs; those of the first init."""
    said: dict[str, str] = {}
    for kind in FROZEN:
        for path in sorted((root / kind).glob("*.json")):
            content = json.loads(path.read_bytes())
            how = [f"{content[key]} {words}" for key, words in HOW.items() if key in content]
            for column in read_frozen(path):
                said.setdefault(column, ", ".join(how))
    return said


HOW = {
    "k": "neighbours",
    "epochs": "epochs",
    "train_images": "labelled images",
    "test_images": "test images",
}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
