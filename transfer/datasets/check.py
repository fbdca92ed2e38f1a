"""The report on a whole data set: every rule that is broken, how often, with examples; images are opened
too.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transfer.arguments import Parser
from transfer.datasets.findings import Findings
from transfer.datasets.registry import dataset_names, describe_layout, read_dataset
from transfer.errors import TransferError


def check_dataset(name: str, root: Path, findings: Findings | None = None) -> tuple[str, Findings]:
    """The report as text, and the findings; raises DataError only where nothing could be read at all.

    A caller's own `findings` let it watch how far the images are.
    """
    findings = findings or Findings(deep=True)
    dataset = read_dataset(name, root, findings)
    lines = [f"data set {name} under {root}"]
    lines += [f"  {key}: {value}" for key, value in dataset.summary.items() if key != "odd"]
    for title, counts in (("errors", findings.errors), ("oddities (kept, counted)", findings.odd)):
        lines.append(f"{title}: {sum(counts.values())}")
        for rule, count in counts.most_common():
            lines.append(f"  {rule}: {count}")
            lines += [f"    {example.line()}" for example in findings.examples[rule]]
    lines.append("not usable: mend the errors" if findings.errors else "usable")
    return "\n".join(lines), findings


@contextmanager
def _progress(what: str, findings: Findings | None = None) -> Iterator[None]:
    """A sign of life on standard error: a moving line on a terminal, a line every few seconds elsewhere."""
    done, start = threading.Event(), time.monotonic()

    def line() -> str:
        images = f", image {findings.opened} of {findings.to_open}" if findings and findings.to_open else ""
        return f"{what}: {time.monotonic() - start:.0f} s{images}"

    def beat() -> None:
        if sys.stderr.isatty():
            from rich.console import Console

            with Console(stderr=True).status(what) as status:
                while not done.wait(0.2):
                    status.update(line())
            return
        while not done.wait(5.0):
            print(line(), file=sys.stderr, flush=True)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def main(argv: list[str] | None = None) -> int:
    """`python -m transfer.datasets {check,list,synthetic}`; 0 fine, 1 errors found in the data, 2 wrong
    use.
    """
    parser = Parser(prog="python -m transfer.datasets", description="Data sets: check, list, generate.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check", help="read a whole data set, open its images, report every broken rule"
    )
    check.add_argument("name", nargs="+", help="data set names, as `list` prints them")
    check.add_argument("--json", action="store_true", help="print the counts as JSON")
    listing = commands.add_parser("list", help="names of all data sets and the files that they are read from")
    make = commands.add_parser("synthetic", help="generate data sets in the layout of the real ones")
    make.add_argument("name", nargs="+")
    for option, default in (("train-images", 200), ("test-images", 80), ("image-size", 128), ("seed", 0)):
        make.add_argument(f"--{option}", type=int, default=default, help=f"default {default}")
    for command in (check, listing, make):
        command.add_argument("--data-root", type=Path, help="default: $DETECTRON2_DATASETS, else ./datasets")
    args = parser.parse_args(argv)
    root = args.data_root or Path(os.environ.get("DETECTRON2_DATASETS") or "datasets")
    try:
        if args.command == "list":
            for name in dataset_names():
                print(name, *(f"    {line}" for line in describe_layout(name).splitlines()), sep="\n")
            return 0
        if args.command == "synthetic":
            from transfer.datasets.synthetic import make_synthetic

            size = {k: getattr(args, k) for k in ("train_images", "test_images", "image_size", "seed")}
            with _progress("generating"):
                make_synthetic(args.name, root, **size)
            print(f"generated under {root}")
            return 0
        return _check_all(args.name, root, args.json)
    except TransferError as e:
        print(f"error: {e}", file=sys.stderr)
        return 2


def _check_all(names: list[str], root: Path, as_json: bool) -> int:
    wrong = 0
    for name in names:
        findings = Findings(deep=True)
        with _progress(f"checking {name}", findings):
            report, _ = check_dataset(name, root, findings)
        if as_json:
            print(json.dumps({"name": name, "errors": dict(findings.errors), "odd": dict(findings.odd)}))
        else:
            print(report)
        wrong += bool(findings.errors)
    return 1 if wrong else 0
