"""Scores prediction files again, without an engine.

`python -m transfer.evaluation SUITE PREDICTIONS --data-root DIR`: SUITE is a suite of the benchmark (its
test set is scored) or the name of a data set.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from converters.options import Parser

# suite -> the data set that it is tested on, as in the paper
TEST_SETS = {
    "voc_c4": "voc_2007_test",
    "voc_dc5": "voc_2007_test",
    "voc07_c4": "voc_2007_test",
    "coco_fpn_1x": "coco_2017_val",
    "coco_fpn_2x": "coco_2017_val",
    "coco_fpn_6x": "coco_2017_val",
    "coco_c4_1x": "coco_2017_val",
    "coco_c4_2x": "coco_2017_val",
    "coco_keypoint": "keypoints_coco_2017_val",
    "coco_densepose": "densepose_coco_2014_minival",
    "lvis": "lvis_v0.5_val",
    "cityscapes_instance": "cityscapes_fine_instance_seg_val",
    "cityscapes_semantic": "cityscapes_fine_sem_seg_val",
    "voc_semantic": "voc_2012_sem_seg_val",
}


def main(argv: list[str] | None = None) -> int:
    """Prints task, metric and percent, one a line (or JSON); 2 and one line of error for wrong input."""
    parser = Parser(prog="python -m transfer.evaluation", description=__doc__.split("\n")[0])
    parser.add_argument("suite", help=f"one of {', '.join(TEST_SETS)}, or a data set name")
    parser.add_argument(
        "predictions", type=Path, help="folder (or JSON file) in the benchmark's submission format"
    )
    parser.add_argument("--data-root", type=Path, help="default: $DETECTRON2_DATASETS, else ./datasets")
    parser.add_argument("--per-class", action="store_true", help="also print every class")
    parser.add_argument("--json", action="store_true", help="print JSON; undefined numbers are null")
    args = parser.parse_args(argv)
    from transfer.errors import DataError, TransferError

    try:
        from transfer.datasets.registry import load_dataset
        from transfer.evaluation.evaluate import evaluate, read_predictions
        from transfer.evaluation.scores import json_ready

        root = args.data_root or Path(os.environ.get("DETECTRON2_DATASETS") or "datasets")
        if not args.predictions.exists():
            raise DataError(f"{args.predictions}: no such folder or file; expected prediction files")
        dataset = load_dataset(TEST_SETS.get(args.suite, args.suite), root)
        predictions = read_predictions(dataset, args.predictions)
        found = evaluate(dataset, predictions)
        scores: dict[str, Any] = dict(found.summary)
        if args.per_class:
            scores["per_class"] = found.per_class
    except TransferError as e:
        print(f"error: {e}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(json_ready(scores), indent=1))
    else:
        print("\n".join(_lines(scores)))
    return 0


def _lines(tree: dict[str, Any], path: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in tree.items():
        name = f"{path}/{key}" if path else key
        lines += _lines(value, name) if isinstance(value, dict) else [f"{name} {value:.3f}"]
    return lines


if __name__ == "__main__":
    from converters.command import command

    sys.exit(command(main))
