"""The command line of benchmarks/run.py: options first, Detectron2 overrides (KEY VALUE ...) last."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import UsageError

DESCRIPTION = "Does a backbone transfer better than supervised ImageNet? Suites x inits x trials; tables."
EPILOGUE = "example: python benchmarks/run.py --suite voc_c4 --init random moco=moco_in1m.pkl --smoke"
POLICIES = {
    "only-missing": "run what has no result yet, and go on with what was stopped (this is the default)",
    "retry-failed": "and run failed cells again",
    "rerun": "run finished and failed cells again, from the start",
}
_KEY = re.compile(r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)+")


def split_overrides(argv: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Options and overrides; the first word of the form SOLVER.MAX_ITER begins the overrides."""
    first = next((i for i, word in enumerate(argv) if _KEY.fullmatch(word)), len(argv))
    options, rest = list(argv[:first]), list(argv[first:])
    late = [word for word in rest[::2] if word.startswith("--")]
    if late:
        raise UsageError(f"{late[0]} stands behind the overrides; options come first, then KEY VALUE pairs")
    if len(rest) % 2:
        raise UsageError(f"override {rest[-1]} has no value; overrides are KEY VALUE pairs")
    return options, list(zip(rest[::2], rest[1::2], strict=True))


def parser() -> argparse.ArgumentParser:
    """All options."""
    p = argparse.ArgumentParser(
        "benchmarks/run.py", description=DESCRIPTION, epilog=EPILOGUE, allow_abbrev=False
    )
    p.add_argument(
        "--suite", nargs="+", metavar="NAME|FILE", help="what to run (see --list), or your own suite.yaml"
    )
    p.add_argument(
        "--init",
        nargs="+",
        metavar="PATH|NAME",
        help="rows: converted backbone, raw checkpoint, random, supervised, msra; label=path names the row; "
        "@list.txt holds one a line",
    )
    p.add_argument(
        "--trials", type=_positive, metavar="N", help="trials per row (default: the suite's own; smoke 1)"
    )
    p.add_argument("--seed", type=_natural, default=0, metavar="N", help="seed of the first trial (0)")
    p.add_argument(
        "--engine", default="auto", metavar="auto|detectron2|torchvision", help="what trains (auto)"
    )
    p.add_argument(
        "--data-root", type=Path, metavar="DIR", help="data sets ($DETECTRON2_DATASETS, else ./datasets)"
    )
    p.add_argument(
        "--data", choices=["real", "synthetic"], default="real", help="synthetic: generate and use a data set"
    )
    p.add_argument("--smoke", action="store_true", help="miniature sizes and schedule; marked not comparable")
    p.add_argument(
        *("--num-gpus", "--gpus-per-cell"),
        type=_positive,
        default=1,
        metavar="N",
        help="processes of a cell, one device each (1); cells are packed onto the visible GPUs",
    )
    p.add_argument(
        "--accumulate",
        action="store_true",
        help="on fewer GPUs than the recipe's: keep its batch by micro-steps instead of the linear rule",
    )
    p.add_argument(
        "--deterministic",
        action="store_true",
        help="ask torch for algorithms that repeat a GPU's run to the bit: slower, and some suites refuse",
    )
    p.add_argument("--device", metavar="cpu|cuda", help="default: cuda where there is one")
    p.add_argument(
        "--output", type=Path, default=Path("runs"), metavar="DIR", help="records, logs, tables (runs/)"
    )
    again = p.add_mutually_exclusive_group()
    for policy, says in POLICIES.items():
        again.add_argument(f"--{policy}", dest="policy", action="store_const", const=policy, help=says)
    p.set_defaults(policy="only-missing")
    p.add_argument(
        "--jobs", type=_positive, metavar="N", help="cells at once (all that the GPUs hold; 1 on a CPU)"
    )
    p.add_argument(
        "--launcher", choices=["local", "slurm"], default="local", help="where cells run (this machine)"
    )
    _slurm(p.add_argument_group("--launcher slurm (pip install -e '.[slurm]')"))
    p.add_argument("--list", action="store_true", help="the suites and named inits, then stop")
    p.add_argument(
        "--dry-run", action="store_true", help="recipe, cells, what is missing; needs no data and no GPU"
    )
    p.add_argument(
        "overrides", nargs="*", metavar="KEY VALUE", help="Detectron2 config overrides; they come last"
    )
    return p


def _slurm(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--partition", metavar="NAME", help="default: the cluster's")
    group.add_argument("--account", metavar="NAME", help="default: yours")
    group.add_argument("--time", metavar="LIMIT", help="of a job, as sbatch has it: 90, 12:00:00, 1-12")
    group.add_argument("--cpus-per-cell", type=_positive, metavar="N", help="default: the cluster's")
    group.add_argument(
        "--sbatch",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="any other option, as in mem=64G qos=long",
    )
    group.add_argument(
        "--cluster", choices=["slurm", "local"], default="slurm", help="local: try it without a Slurm"
    )


def data_root(given: Path | None, synthetic: bool, output: Path) -> Path:
    """Where the data sets are; generated ones lie with the results unless a root is given."""
    if given is not None:
        return given
    if synthetic:
        return output / "synthetic"
    return Path(os.environ.get("DETECTRON2_DATASETS") or "datasets")


def _positive(text: str) -> int:
    return _integer(text, 1)


def _natural(text: str) -> int:
    return _integer(text, 0)


def _integer(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least}, got {text!r}")
    return int(text)
