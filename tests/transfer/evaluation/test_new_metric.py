"""A metric is a number of its evaluator and a name: suites and the check before a run then know it."""

from __future__ import annotations

from pathlib import Path

from tests.additions import edited_copy, run_in

EDITS = {
    "transfer/evaluation/voc/metric.py": ('"AP75": means[5]}', '"AP75": means[5], "AP60": means[2]}'),
    "transfer/evaluation/names.py": (
        '_VOC = ("AP", "AP50", "AP75")',
        '_VOC = ("AP", "AP50", "AP75", "AP60")',
    ),
    "benchmarks/suites/voc_c4.yaml": ("metrics: [bbox/AP50,", "metrics: [bbox/AP60, bbox/AP50,"),
}
TRY = """
from pathlib import Path
import numpy as np
from benchmarks.run import main
from transfer.datasets.registry import load_dataset
from transfer.evaluation.evaluate import evaluate
from transfer.evaluation.prediction import Prediction

common = "--engine torchvision --num-gpus 8 --dry-run --data-root none".split()
print(main(["--suite", "voc_c4", "--init", "random", *common]))
dataset = load_dataset("voc_2007_test", Path({devkit!r}))
found = []
for record in dataset.records:
    objects = record["annotations"]
    boxes = np.array([o["bbox"] for o in objects], float).reshape(-1, 4)
    classes = np.array([o["category_id"] for o in objects], int)
    found.append(Prediction(record["image_id"], boxes, np.ones(len(boxes)), classes))
print(evaluate(dataset, found).summary["bbox"].get("AP60"))
"""


def test_a_number_and_a_name_are_enough(devkit: Path, tmp_path: Path) -> None:
    code, score = run_in(edited_copy(tmp_path, EDITS), TRY.format(devkit=str(devkit))).splitlines()[-2:]
    assert (code, score) == ("0", "100.0")


def test_a_suite_cannot_name_what_no_evaluator_yields(devkit: Path, tmp_path: Path) -> None:
    edits = {name: edit for name, edit in EDITS.items() if name != "transfer/evaluation/names.py"}
    code = run_in(edited_copy(tmp_path, edits), TRY.format(devkit=str(devkit))).splitlines()[-2]
    assert code == "2"
