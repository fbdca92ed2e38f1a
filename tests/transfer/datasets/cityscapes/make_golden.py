"""Remakes the stored numbers of Detectron2's polygons, where Detectron2 is importable.

`python -m tests.transfer.datasets.cityscapes.make_golden`
"""

import json
import tempfile
from pathlib import Path

import pytest

from tests.transfer.datasets.cityscapes import scenes

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = scenes.write(Path(folder) / "a.json", scenes.SCENE)
        found = scenes.facts(scenes.detectron2s(path, patch))
    scenes.GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
