"""Remakes the stored numbers of Detectron2's polygons: `PYTHONPATH=... python make_cityscapes_golden.py`."""

import json
import tempfile
from pathlib import Path

import city_scenes
import pytest

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = city_scenes.write(Path(folder) / "a.json", city_scenes.SCENE)
        found = city_scenes.facts(city_scenes.detectron2s(path, patch))
    city_scenes.GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
