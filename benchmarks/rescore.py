"""Computes every number of a bundle again, from its predictions and the data sets of this machine.

`python -m benchmarks.rescore BUNDLE --data-root DIR`: BUNDLE is what `publish` wrote, or a directory of runs.
Each number is held against that of its record, and what cannot be computed again is listed with its reason.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters.options import Parser, visible

if TYPE_CHECKING:
    from transfer.datasets.base import Dataset

    Values = dict[str, float | None]

# Points between a number and its record's. Predictions are written in full, so it is mostly 0; another
# version of a library may add in another order.
ROUNDING = 1e-6
# what Python says of somebody's files that are not what they should be
BROKEN = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError)


@dataclass
class Scored:
    """The findings of one record: names of equal numbers, lines of others, reasons by number, a doubt."""

    title: str
    equal: dict[str, str] = field(default_factory=dict)  # name -> what it was computed from
    others: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    largest: float = 0.0
    doubt: str = ""


def main(argv: list[str] | None = None) -> int:
    """Prints lines for each record; returns its exit code.

    1: a number came out otherwise, a record was changed, or no number came out equal. 2: bad input.
    """
    parser = Parser(prog="python -m benchmarks.rescore", description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=Path, help="a bundle (folder, .tar.gz, .zip) or a directory of runs")
    parser.add_argument("--data-root", type=Path, help="default: $DETECTRON2_DATASETS, else ./datasets")
    parser.add_argument(
        "--suite", nargs="+", type=Path, default=[], help="files of suites that define your own data sets"
    )
    parser.add_argument("--sha256", help="the bundle's hash over all, as its author told it")
    args = parser.parse_args(argv)
    from benchmarks.errors import UsageError
    from results.errors import RecordError
    from transfer.errors import TransferError

    try:
        found = [_printed(one) for one in _rescore(args)]
    except BrokenPipeError:
        raise  # `command` ends it
    except (RecordError, TransferError, UsageError, OSError) as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        return 2
    equal, wrong, left = (sum(map(len, column)) for column in zip(*map(_counted, found), strict=True))
    print(f"{len(found)} records: {equal} numbers equal, {wrong} others, {left} not computed again")
    return 1 if wrong or not equal else 0


def _counted(one: Scored) -> tuple[Any, ...]:
    return one.equal, one.others, one.reasons


def _printed(one: Scored) -> Scored:
    sources = sorted(set(one.equal.values()))
    if one.equal:
        told = f"{len(one.equal)} numbers equal, from {' and '.join(sources)}"
        print(visible(f"{one.title}: {told} (largest difference {one.largest:.1g})"))
    if one.doubt:
        print(visible(f"{one.title}: note: the record {one.doubt}"))
    for line in one.others:
        print(visible(f"{one.title}: OTHER: {line}"))
    reasons: dict[str, list[str]] = {}
    for name, reason in one.reasons.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        print(visible(f"{one.title}: not computed again: {', '.join(names)}: {reason}"))
    return one


def _rescore(args: Any) -> Iterator[Scored]:
    from benchmarks.arguments import data_root
    from benchmarks.planning.suite_file import read_suite
    from results.bundle.check import is_bundle, opened
    from results.errors import RecordError
    from transfer.datasets.own_file import own_datasets

    root = data_root(args.data_root, False, Path())
    own: dict[str, Any] = {}
    for suite in map(read_suite, args.suite):
        own |= own_datasets(suite.datasets, suite.file)
    if not args.bundle.exists():
        raise RecordError(f"{args.bundle}: no such bundle or directory of runs")
    if is_bundle(args.bundle):
        with opened(args.bundle, args.sha256) as (folder, _):
            yield from rescore(folder, root, own)
        return
    if args.sha256:
        raise RecordError(f"{args.bundle} is not a bundle, so it has no hash over all; leave --sha256 out")
    yield from rescore(args.bundle, root, own)


def rescore(folder: Path, data_root: Path, own: Mapping[str, Any]) -> Iterator[Scored]:
    """Scores the records of a folder again; `own`: definitions of users' data sets by name.

    RecordError: no records. A record without numbers is listed and not scored. A doubt is a note beside the
    numbers, and a record that was changed is one of the others, whatever they say.
    """
    from results.errors import RecordError
    from results.journal import CHANGED, DOUBTS
    from results.run_files import cell_directories
    from results.store import load_records

    records = load_records(folder)
    if not records:
        raise RecordError(f"no records in {folder}, expected {folder}/records/<suite>/<id>.json")
    cells, sets = cell_directories(folder), Sets(data_root, own)
    for record in records:
        scored = Scored(f"{record['suite']} {record['init']} trial {record['trial']} ({record['id']})")
        doubt = record.get("doubt")
        if doubt == CHANGED:
            scored.others.append(f"the record {DOUBTS[doubt]}")
        elif doubt:
            scored.doubt = DOUBTS[doubt]
        if record["status"] != "finished":
            told = f"the record is {record['status']}"
            scored.reasons = dict.fromkeys(_numbers(record) or {"all": 0.0}, told)
        else:
            _score(scored, record, cells.get((record["suite"], record["id"])), sets)
        yield scored


def _numbers(record: Any) -> dict[str, float | None]:
    from results.record import flat_metrics

    return flat_metrics(record)


def _score(scored: Scored, record: Any, cell: Path | None, sets: Sets) -> None:
    """Computes the numbers of one record by all that is kept of it, and holds them against the record."""
    numbers = _numbers(record)
    found: dict[str, list[tuple[str, float | None]]] = {name: [] for name in numbers}
    reasons = []
    for source, make in (("predictions", _of_predictions), ("per_image.npz", _of_images)):
        values = make(record, cell, sets)
        if isinstance(values, str):
            reasons.append(values)
            continue
        for name in numbers.keys() & values.keys():
            found[name].append((source, values[name]))
    for name, value in numbers.items():
        for source, again in found[name]:
            gap = _gap(value, again)
            if gap > ROUNDING:
                scored.others.append(f"{name} is {_shown(value)} in the record, {_shown(again)} by {source}")
            else:
                scored.equal.setdefault(name, source)
                scored.largest = max(scored.largest, gap)
        if not found[name]:
            scored.reasons[name] = "; ".join(reasons) or "neither predictions nor per_image.npz give it"


def _gap(one: float | None, other: float | None) -> float:
    """Points between two numbers; none between two that are undefined."""
    if one is None or other is None:
        return 0.0 if one is other else math.inf
    return abs(one - other)


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.6f}"


class Sets:
    """The data sets of this machine, each read once."""

    def __init__(self, root: Path, own: Mapping[str, Any]):
        self.root, self.own = root, own
        self._read: dict[str, Dataset[Any] | str] = {}

    def get(self, name: str, job: Path) -> Dataset[Any] | str:
        """The data set, or why it cannot be had; `job`: of a run here, which knows a user's sets."""
        from transfer.datasets.coco.own import OwnDataset
        from transfer.datasets.registry import load_dataset
        from transfer.errors import TransferError

        if name not in self._read:
            own = dict(self.own)
            if job.is_file():
                told = json.loads(job.read_bytes()).get("datasets") or {}
                own = {key: OwnDataset.from_json(key, one) for key, one in told.items()} | own
            try:
                self._read[name] = load_dataset(name, self.root, own)
            except (TransferError, OSError) as error:
                self._read[name] = str(error)
        return self._read[name]


def _of_predictions(record: Any, cell: Path | None, sets: Sets) -> Values | str:
    """The numbers by the official evaluation of the predictions, or why there are none."""
    from transfer.datasets.limit import limited
    from transfer.errors import TransferError
    from transfer.evaluation.evaluate import evaluate, read_predictions
    from transfer.evaluation.scores import json_ready

    if cell is None or not (cell / "predictions").is_dir():
        return "no predictions are kept"
    told = (record.get("data") or {}).get("test")
    if not isinstance(told, dict) or not {"name", "sha256"} <= told.keys():
        return "the record does not name its test set"
    test = sets.get(told["name"], cell / "job.json")
    if isinstance(test, str):
        return test
    if test.summary["sha256"] != told["sha256"]:
        return f"{told['name']} here is not the one that it was tested on (SHA-256); name another --data-root"
    if record.get("truncated"):
        test = limited(test, record["truncated"]["images"])
    try:
        scores = evaluate(test, read_predictions(test, cell / "predictions"))
    except (TransferError, OSError) as error:
        return " ".join(str(error).split())
    except BROKEN as error:
        return f"{cell / 'predictions'}: {type(error).__name__}: {' '.join(str(error).split())}"
    return _numbers({"metrics": json_ready(scores.summary)})


def _of_images(record: Any, cell: Path | None, _: Sets) -> Values | str:
    """The numbers by what is kept of each image, whose labels are the file's own, or why there are none."""
    from results.errors import RecordError
    from results.images.file import read_outcomes
    from results.run_files import PER_IMAGE

    told = record.get("per_image")
    if cell is None or not told or not (cell / PER_IMAGE).is_file():
        return f"no {PER_IMAGE}"
    try:
        kept = read_outcomes(cell / PER_IMAGE, told["sha256"])
        made = {name: kept.measure(name) for name in kept.metrics}
    except RecordError as error:
        return str(error)
    values = {name: one.value() for name, one in made.items() if one is not None}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


if __name__ == "__main__":
    from converters.command import command

    sys.exit(command(main))
