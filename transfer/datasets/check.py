"""Reports on a whole data set: every broken rule, how often and where. Images are opened too."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from converters.options import Parser
from transfer.datasets import own_formats
from transfer.datasets.coco.own import OwnDataset
from transfer.datasets.findings import LISTED_PER_RULE, Findings
from transfer.datasets.image_list.own import OwnLabelled
from transfer.datasets.image_list.public.table import row_of, set_names
from transfer.datasets.image_list.report import check_own, check_set
from transfer.datasets.own_file import read_own_datasets, read_own_labelled
from transfer.datasets.prepare.prepare import prepare_all
from transfer.datasets.prepare.sets import SETS
from transfer.datasets.registry import dataset_names, describe_layout, read_dataset
from transfer.datasets.waiting import waiting
from transfer.errors import TransferError


def check_dataset(
    name: str,
    root: Path,
    findings: Findings | None = None,
    own: Mapping[str, OwnDataset | OwnLabelled] | None = None,
) -> tuple[str, Findings]:
    """Returns the report as text, and the findings; DataError only where nothing could be read at all.

    findings: the caller's own, if it wants to watch how far the images are. own: the user's data sets.
    """
    findings = findings or Findings(deep=True, keep=LISTED_PER_RULE)
    mine = own.get(name) if own else None
    if isinstance(mine, OwnLabelled):
        summary = check_own(mine, findings)
        lines = [f"labelled images {name}: {', '.join(map(str, mine.parts.values()))}"]
    elif mine is not None:
        summary = own_formats.read(mine, findings).summary
        lines = [f"data set {name}: {mine.json}, images in {mine.images}"]
    elif name in set_names():
        summary = check_set(name, root, findings)
        lines = [f"labelled images {name} under {root}"]
    else:
        summary = read_dataset(name, root, findings, [*(own or ()), *set_names()]).summary
        lines = [f"data set {name} under {root}"]
    lines += [f"  {key}: {value}" for key, value in summary.items() if key != "odd"]
    for title, counts in (("errors", findings.errors), ("oddities (kept, counted)", findings.odd)):
        lines.append(f"{title}: {sum(counts.values())}")
        for rule, count in counts.most_common():
            lines.append(f"  {rule}: {count}")
            listed = findings.examples[rule]
            lines += [f"    {finding.line()}" for finding in listed]
            lines += [f"    and {count - len(listed)} more"] if count > len(listed) else []
    lines.append("not usable: mend the errors" if findings.errors else "usable")
    return "\n".join(lines), findings


def main(argv: list[str] | None = None) -> int:
    """Runs `python -m transfer.datasets {check,list,prepare,synthetic,verify}`.

    Exit codes: 0 fine, 1 errors in the data or another content, 2 wrong use or a set that cannot be read.
    """
    args = _parser().parse_args(argv)
    root = args.data_root or Path(os.environ.get("DETECTRON2_DATASETS") or "datasets")
    try:
        if args.command == "list":
            for name in dataset_names():
                print(name, *(f"    {line}" for line in describe_layout(name).splitlines()), sep="\n")
            for name in set_names():
                print(name, *(f"    {line}" for line in row_of(name).layout), sep="\n")
            for one in SETS:
                print(one.name, f"    (for prepare and verify) {', '.join(one.splits)}", sep="\n")
            return 0
        if args.command == "prepare":
            return _told(prepare_all(args.name, root, _say), True)
        if args.command == "verify":
            from transfer.datasets.prepare.verify import verify_all

            same, failed = verify_all(args.name, root, _say, args.save, args.against)
            return _told(failed, same)
        if args.command == "synthetic":
            from transfer.datasets.synthetic.make import make_synthetic

            size = {k: getattr(args, k) for k in ("train_images", "test_images", "image_size", "seed")}
            with waiting("generating"):
                make_synthetic(args.name, root, **size)
            print(f"generated under {root}")
            return 0
        own: dict[str, OwnDataset | OwnLabelled] = {}
        if args.suite:
            own = {**read_own_datasets(args.suite), **read_own_labelled(args.suite)}
        if not args.name and not own:
            raise TransferError("nothing to check: give names (`list` prints them) or --suite FILE")
        return _check_all(args.name or own, root, own, args.json)
    except TransferError as e:
        print(f"error: {e}", file=sys.stderr)
        return 2


def _say(line: str) -> None:
    print(line, flush=True)


def _told(failed: Sequence[str], same: bool) -> int:
    """Prints what could not be done, a line each; returns the exit code."""
    for line in failed:
        print(f"error: {line}", file=sys.stderr)
    return 2 if failed else 0 if same else 1


def _parser() -> Parser:
    parser = Parser(
        prog="python -m transfer.datasets", description="Data sets: check, list, fetch, verify, generate."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check", help="read a whole data set, open its images, report every broken rule"
    )
    check.add_argument(
        "name", nargs="*", help="data set names, as `list` prints them or --suite defines them"
    )
    check.add_argument(
        "--suite", type=Path, metavar="FILE", help="your suite file: its own data sets, all or those named"
    )
    check.add_argument("--json", action="store_true", help="print the counts as JSON")
    listing = commands.add_parser("list", help="names of all data sets and the files that they are read from")
    fetch = commands.add_parser("prepare", help="fetch public sets, and unpack and check them")
    proof = commands.add_parser("verify", help="is a copy the official one? The first record that differs")
    for command in (fetch, proof):
        command.add_argument("name", nargs="+", help="sets, as `list` prints them, and roxford5k, rparis6k")
    proof.add_argument("--save", type=Path, metavar="LIST", help="write down what the copy holds")
    proof.add_argument("--against", type=Path, metavar="LIST", help="compare with what another copy holds")
    make = commands.add_parser("synthetic", help="generate data sets in the layout of the real ones")
    make.add_argument("name", nargs="+")
    for option, default in (("train-images", 200), ("test-images", 80), ("image-size", 128), ("seed", 0)):
        make.add_argument(f"--{option}", type=int, default=default, help=f"default {default}")
    for command in (check, listing, fetch, proof, make):
        command.add_argument(
            "--data-root", "--root", type=Path, help="default: $DETECTRON2_DATASETS, else ./datasets"
        )
    return parser


def _check_all(
    names: Iterable[str], root: Path, own: Mapping[str, OwnDataset | OwnLabelled], as_json: bool
) -> int:
    """Prints the report on each, also after one that cannot be read; returns the exit code."""
    wrong = unread = 0
    for name in names:
        findings = Findings(deep=True, keep=LISTED_PER_RULE)
        try:
            with waiting(f"checking {name}", findings):
                report, _ = check_dataset(name, root, findings, own)
        except TransferError as e:
            print(f"error: {e}", file=sys.stderr)
            unread += 1
            continue
        if as_json:
            print(json.dumps({"name": name, "errors": dict(findings.errors), "odd": dict(findings.odd)}))
        else:
            print(report, flush=True)
        wrong += bool(findings.errors)
    return 2 if unread else int(wrong > 0)
