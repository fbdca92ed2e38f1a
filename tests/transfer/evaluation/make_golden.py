"""Makes golden/*.json: what Detectron2's own evaluators say about the scenes of the metric tests.

Run it where Detectron2 is importable: `python tests/transfer/evaluation/make_golden.py`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "datasets"), str(HERE.parents[2])]


def voc() -> dict[str, dict[str, float]]:
    from d2_oracle import voc_evaluate
    from voc_scenes import make_scene

    golden = {}
    for year in (2007, 2012):
        for seed in range(4):
            with tempfile.TemporaryDirectory() as root:
                golden[f"{year}-{seed}"] = voc_evaluate(*make_scene(Path(root), seed, year))
    return golden


MAKERS = {"voc": voc}

if __name__ == "__main__":
    (HERE / "golden").mkdir(exist_ok=True)
    for name in sys.argv[1:] or MAKERS:
        numbers = MAKERS[name]()
        (HERE / "golden" / f"{name}.json").write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n")
        print(name, "written")
