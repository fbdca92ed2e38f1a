"""Writes the golden numbers of `scenario` with the real Detectron2:

    python -m tests.transfer.engines.make_golden [DETECTOR ...]

Run it (with Detectron2 importable) when the scenario changes; CI compares the embedded engine with the files.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from tests.transfer.engines import scenario
from transfer.engines.choose import load_engine

GOLDEN = Path(__file__).parent / "golden"
MOST = {"masks": 10, "keypoints": 10, "labels": 4, "uv": 2}  # detections whose larger fields are kept


def main(detectors: list[str]) -> None:
    import detectron2

    engine = load_engine("detectron2")
    for detector in detectors or scenario.DETECTORS:
        content = {
            "made_with": {"detectron2": detectron2.__version__, "torch": torch.__version__},
            **scenario.everything(engine, detector, scenario.fixed_detectron2_proposals),
        }
        for found in content["detections"]:
            for field, most in MOST.items():
                if field in found:
                    found[field] = found[field][:most]
        (GOLDEN / f"{detector}.json").write_text(json.dumps(_rounded(content)) + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    """Seven significant digits: float32 has no more."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return value


if __name__ == "__main__":
    main(sys.argv[1:])
