"""Writes the golden numbers of `scenario` with the real Detectron2:

    python -m tests.transfer.engines.make_golden

Run it (with Detectron2 importable) when the scenario changes; CI compares the embedded engine with the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tests.transfer.engines import scenario
from transfer.engines.choose import load_engine

GOLDEN = Path(__file__).with_name("golden_voc_c4.json")


def main() -> None:
    engine = load_engine("detectron2")
    content = {
        "made_with": {"detectron2": engine.version(), "torch": torch.__version__},
        **scenario.everything(engine, scenario.fixed_detectron2_proposals),
    }
    GOLDEN.write_text(json.dumps(_rounded(content)) + "\n", encoding="utf-8")


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
    main()
