"""Makes golden/*.json: what Detectron2's own evaluators say about the scenes of the metric tests.

Run it where Detectron2 is importable: `python -m tests.transfer.evaluation.make_golden [voc tasks]`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEEDS = range(3)


def voc():
    from tests.transfer.evaluation.d2_oracle import voc_evaluate
    from tests.transfer.evaluation.voc_scenes import make_scene

    golden = {}
    for year in (2007, 2012):
        for seed in range(4):
            with tempfile.TemporaryDirectory() as root:
                golden[f"{year}-{seed}"] = voc_evaluate(*make_scene(Path(root), seed, year))
    return golden


def tasks():
    from tests.transfer.evaluation import synthetic_scenes as scenes
    from tests.transfer.evaluation.d2_tasks import ORACLES

    golden = {}
    for task, oracle in ORACLES.items():
        for seed in SEEDS:
            with tempfile.TemporaryDirectory() as root:
                dataset = scenes.load(task, Path(root) / "data", seed)
                predictions = scenes.spoil(dataset, scenes.truth(dataset), seed)
                scores = oracle(dataset, predictions, Path(root))
                golden[f"{task}-{seed}"] = {"scene": scenes.fingerprint(dataset), "scores": scores}
    return golden


MAKERS = {"voc": voc, "tasks": tasks}

if __name__ == "__main__":
    (HERE / "golden").mkdir(exist_ok=True)
    for name in sys.argv[1:] or MAKERS:
        numbers = MAKERS[name]()
        (HERE / "golden" / f"{name}.json").write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n")
        print(name, "written")
