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


def main(argv: list[str] | None = None) -> int:
    """Prints task, metric and percent, one a line (or JSON); 2 and one line of error for wrong input."""
    parser = Parser(prog="python -m transfer.evaluation", description=__doc__.split("\n")[0])
    parser.add_argument("suite", help="a suite, as `benchmarks/run.py --list` names them, or a data set")
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
        dataset = load_dataset(scored_set(args.suite), root)
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


def scored_set(name: str) -> str:
    """The data set that a suite is scored on, which its recipe names; any other name is a data set's own."""
    from transfer.recipes.resolve import RECIPES, load_recipe

    if not (RECIPES / f"{name}.yaml").is_file():
        return name
    return next(iter(load_recipe(name).DATASETS.TEST), name)


def _lines(tree: dict[str, Any], path: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in tree.items():
        name = f"{path}/{key}" if path else key
        lines += _lines(value, name) if isinstance(value, dict) else [f"{name} {value:.3f}"]
    return lines


if __name__ == "__main__":
    from converters.command import command

    sys.exit(command(main))
