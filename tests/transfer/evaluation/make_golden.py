"""Makes golden/*.json, the scores that Detectron2's own evaluators give to the scenes of the metric tests.

Where Detectron2 and DensePose are importable: `python -m tests.transfer.evaluation.make_golden [voc tasks]`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

GOLDEN = Path(__file__).resolve().parent / "golden"
SEEDS = range(3)


def voc():
    from tests.transfer.evaluation.detectron2s import voc_evaluate
    from tests.transfer.evaluation.voc.scenes import make_scene

    golden = {}
    for year in (2007, 2012):
        for seed in range(4):
            with tempfile.TemporaryDirectory() as root:
                golden[f"{year}-{seed}"] = voc_evaluate(*make_scene(Path(root), seed, year))
    return golden


def tasks():
    from tests.transfer.evaluation import scenes
    from tests.transfer.evaluation.detectron2s import ORACLES

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
    for name in sys.argv[1:] or MAKERS:
        numbers = MAKERS[name]()
        (GOLDEN / f"{name}.json").write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n")
        print(name, "written")
