"""Remakes Detectron2's polygons: `python -m tests.transfer.datasets.make_cityscapes_golden`."""

import json
import tempfile
from pathlib import Path

import pytest

from tests.transfer.datasets import city_polygons

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = city_polygons.write(Path(folder) / "a.json", city_polygons.SCENE)
        found = city_polygons.facts(city_polygons.detectron2s(path, patch))
    city_polygons.GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
