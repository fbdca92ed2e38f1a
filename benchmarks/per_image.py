"""Adds what each test image gave (per_image.npz) to cells that finished before such files were kept.

`python -m benchmarks.per_image RUNS`: it is made from their predictions, and no number moves. A cell without
its predictions or its data is named in a line and stays as it is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from converters.options import Parser


def main(argv: list[str] | None = None) -> int:
    """Prints a line for each cell; returns 1 where one could not be done, 2 for bad input, otherwise 0."""
    parser = Parser(prog="python -m benchmarks.per_image", description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path, help="directory of the records")
    parser.add_argument("--data-root", type=Path, help="default: where each cell had its data")
    args = parser.parse_args(argv)
    from results.errors import RecordError
    from results.store import load_records

    try:
        records = load_records(args.runs)
        if not records:
            raise RecordError(f"no records in {args.runs}, expected {args.runs}/records/<suite>/<id>.json")
    except (RecordError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    done = [_told(line, good) for line, good in add(args.runs, records, args.data_root)]
    return 0 if all(done) else 1


def _told(line: str, good: bool) -> bool:
    print(line, file=sys.stdout if good else sys.stderr)
    return good


def add(root: Path, records: list[Any], data_root: Path | None = None) -> Iterator[tuple[str, bool]]:
    """(line, whether it worked) for each finished cell without the file; doubted records are left out."""
    from results.errors import RecordError
    from results.run_files import cell_directories
    from transfer.errors import TransferError

    cells = cell_directories(root)
    for record in records:
        if record["status"] != "finished" or record.get("per_image") or record.get("doubt"):
            continue
        name = f"{record['suite']} {record['init']} trial {record['trial']} ({record['id']})"
        try:
            yield f"{name}: {_add(root, record, cells.get((record['suite'], record['id'])), data_root)}", True
        except (RecordError, TransferError, OSError) as error:
            yield f"{name}: left as it is: {error}", False


def _add(root: Path, record: Any, cell: Path | None, data_root: Path | None) -> str:
    """Writes the file of one cell and names its hash in the record; returns what was done."""
    from results.errors import RecordError
    from results.images.file import read_outcomes
    from results.run_files import PER_IMAGE, vouched_per_image
    from results.store import save_record
    from transfer.datasets.coco.own import OwnDataset
    from transfer.datasets.limit import limited
    from transfer.datasets.registry import load_dataset
    from transfer.evaluation.evaluate import outcomes, read_predictions
    from transfer.evaluation.per_image import save_outcomes

    if cell is None or not (cell / "predictions").is_dir() or not (cell / "job.json").is_file():
        raise RecordError("its predictions/ or job.json are not here")
    job = json.loads((cell / "job.json").read_bytes())
    own = {name: OwnDataset.from_json(name, one) for name, one in job["datasets"].items()}
    told = record["data"]["test"]
    test = load_dataset(told["name"], data_root or Path(job["data_root"]), own)
    if test.summary["sha256"] != told["sha256"]:
        raise RecordError(
            f"{told['name']} is not the one that it was tested on (SHA-256); name another --data-root"
        )
    if record.get("truncated"):
        test = limited(test, record["truncated"]["images"])
    kept = outcomes(test, read_predictions(test, cell / "predictions"))
    if kept is None:
        return f"nothing is kept by image for {test.metadata['evaluator']}"
    save_outcomes(kept, cell / PER_IMAGE)
    try:
        _hold(read_outcomes(cell / PER_IMAGE, vouched_per_image(cell)["per_image"]["sha256"]), record)
    except RecordError:
        (cell / PER_IMAGE).unlink()
        raise
    save_record(record | vouched_per_image(cell), root)
    return f"{len(kept.ids)} images"


def _hold(found: Any, record: Any) -> None:
    """Refuses outcomes that do not give the record's numbers."""
    from results.images.compared import measure
    from results.record import flat_metrics

    for metric, value in flat_metrics(record).items():
        if value is not None:
            measure(found, metric, value)


if __name__ == "__main__":
    from converters.command import command

    sys.exit(command(main))
