"""Writes what the real Detectron2 makes of the scenes; CI compares our engine with the files:

python -m tests.transfer.engines.golden.make [SCENE ...]

Run it, with Detectron2 and its DensePose project importable, when a scene changes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from tests.transfer.engines.golden import detection, semantic
from tests.transfer.engines.golden.values import rounded
from transfer.engines.choose import load_engine

FOLDER = Path(__file__).parent
MOST = {"masks": 10, "keypoints": 10, "labels": 4, "uv": 2}  # detections whose larger fields are stored


def _heads() -> dict[str, Any]:
    from tests.transfer.engines.golden import detectron2_heads

    return detectron2_heads.everything()


def _densepose_head() -> dict[str, Any]:
    from tests.transfer.engines.golden import detectron2_densepose

    return detectron2_densepose.everything()


# scene -> what Detectron2 makes of it; every detector and segmentor is a scene, too
OTHERS: dict[str, Callable[[], dict[str, Any]]] = {
    "heads": _heads,
    "densepose_head": _densepose_head,
}
NEED_DENSEPOSE = ("coco_densepose", "densepose_head")


@cache
def live(scene: str) -> dict[str, Any]:
    """Makes a scene with Detectron2, here and now."""
    if scene in OTHERS:
        return OTHERS[scene]()
    if scene in semantic.SEGMENTORS:
        return semantic.everything(load_engine("detectron2"), scene)
    return detection.everything(load_engine("detectron2"), scene, detection.fixed_detectron2_proposals)


def stored(scene: str) -> dict[str, Any]:
    """Reads what Detectron2 made of the scene when the file was written."""
    content: dict[str, Any] = json.loads((FOLDER / f"{scene}.json").read_text(encoding="utf-8"))
    return content


def main(scenes: list[str]) -> None:
    import detectron2

    made_with = {"detectron2": detectron2.__version__, "torch": torch.__version__}
    for scene in scenes or [*detection.DETECTORS, *semantic.SEGMENTORS, *OTHERS]:
        content = {"made_with": made_with, **live(scene)}
        for found in content.get("detections", ()):
            found.update({field: found[field][:most] for field, most in MOST.items() if field in found})
        (FOLDER / f"{scene}.json").write_text(json.dumps(rounded(content)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
