"""Writes the golden numbers of `semantic_scene` with the real Detectron2:

python -m tests.transfer.engines.make_semantic_golden
"""

from __future__ import annotations

import json

import torch

from tests.transfer.engines import semantic_scene
from tests.transfer.engines.make_golden import GOLDEN, _rounded
from transfer.engines.choose import load_engine


def main() -> None:
    import detectron2

    engine = load_engine("detectron2")
    content = {
        "made_with": {"detectron2": detectron2.__version__, "torch": torch.__version__},
        **semantic_scene.everything(engine),
    }
    (GOLDEN / "voc_semantic.json").write_text(json.dumps(_rounded(content)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
