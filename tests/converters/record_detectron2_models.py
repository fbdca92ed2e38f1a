"""Writes `detectron2_models.json`; run it as a script where Detectron2 is importable."""

from __future__ import annotations

import json

from tests.converters.detectron2_live import MODELS, build
from tests.converters.detectron2_rules import STORED

if __name__ == "__main__":
    shapes = {
        name: {key: list(value.shape) for key, value in build(name).state_dict().items()} for name in MODELS
    }
    STORED.write_text(json.dumps(shapes, indent=0) + "\n", encoding="utf-8")
