"""Reads the command line of benchmarks/run.py: options first, Detectron2 overrides (KEY VALUE ...) last."""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import UsageError
from benchmarks.planning.request import SEEDS, TRIALS, TUNE
from converters.command import add_version, spelled
from converters.options import Parser
from converters.trackers import add_flags

if TYPE_CHECKING:
    from benchmarks.launch.choose import Launch

DESCRIPTION = "Does a backbone transfer better than supervised ImageNet? Suites x inits x trials; tables."
EXAMPLE = "--suite voc_c4 --init random moco=moco_in1m.pkl --smoke"
POLICIES = {
    "only-missing": "run what has no result yet, and go on with what was stopped (this is the default)",
    "retry-failed": "and run failed cells again",
    "rerun": "run finished and failed cells again, from the start",
}
MOST = 4096  # processes, cells at once, CPUs
_KEY = re.compile(r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)+")


def split_overrides(argv: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Splits into options and overrides; the first word of the form SOLVER.MAX_ITER begins the overrides."""
    first = next((i for i, word in enumerate(argv) if _KEY.fullmatch(word)), len(argv))
    options, rest = list(argv[:first]), list(argv[first:])
    late = [word for word in rest[::2] if word.startswith("--")]
    if late:
        raise UsageError(f"{late[0]} stands behind the overrides; options come first, then KEY VALUE pairs")
    if len(rest) % 2:
        raise UsageError(f"override {rest[-1]} has no value; overrides are KEY VALUE pairs")
    return options, list(zip(rest[::2], rest[1::2], strict=True))


def last_of_each(overrides: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[str]]:
    """Keeps the last override of each key, as Detectron2 does; returns a line for each repeated key too."""
    last = dict(overrides)
    repeated = [key for key, count in Counter(key for key, _ in overrides).items() if count > 1]
    notes = [f"override: {key} is given more than once; the last counts, {last[key]}" for key in repeated]
    return list(last.items()), notes


def refuse_output(output: Path) -> None:
    """Raises UsageError where a folder of results cannot be written to, before anything is made."""
    there = next(path for path in [output.absolute(), *output.absolute().parents] if path.exists())
    if not there.is_dir():
        raise UsageError(f"--output {output}: {there} is a file; choose another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"--output {output}: {there} is not writable; choose another folder")


def parser() -> argparse.ArgumentParser:
    """The parser of all options."""
    p = Parser(
        "benchmarks/run.py", description=DESCRIPTION, epilog=f"example: {spelled('benchmarks.run', EXAMPLE)}"
    )
    _rows(p)
    _run(p)
    _cells(p)
    _slurm(p.add_argument_group("--launcher slurm (pip install -e '.[slurm]')"))
    add_version(p)
    p.add_argument("--list", action="store_true", help="the suites and named inits, then stop")
    p.add_argument(
        "--dry-run", action="store_true", help="recipe, cells, what is missing; needs no data and no GPU"
    )
    p.add_argument(
        "--print-config", action="store_true", help="the resolved recipe of a suite (and an init) as YAML"
    )
    p.add_argument(
        "overrides", nargs="*", metavar="KEY VALUE", help="Detectron2 config overrides; they come last"
    )
    return p


def _rows(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--suite", nargs="+", metavar="NAME|FILE", help="what to run (see --list), or your own suite.yaml"
    )
    p.add_argument(
        "--init",
        nargs="+",
        metavar="PATH|NAME",
        help="rows: converted backbone, raw checkpoint, or a name (random, supervised, msra, timm/NAME, "
        "hf/OWNER/NAME, https://ADDRESS and others, see --list), or your module, "
        "own:FILE.py:CALLABLE[:WEIGHTS]; label=path names the row; @list.txt holds one a line; with {seed} "
        "in a path each trial has the file of its seed",
    )
    p.add_argument(
        "--trials", type=_trials, metavar="N", help="trials per row (default: the suite's own; smoke 1)"
    )
    p.add_argument("--seed", type=_seed, default=0, metavar="N", help="seed of the first trial (0)")
    p.add_argument(
        "--tune",
        type=_candidates,
        default=0,
        metavar="N",
        help="rates that every row tries on a split of train (powers of 2 around the recipe's); its trials "
        "take the best",
    )


def _run(p: argparse.ArgumentParser) -> None:
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
        "--limit", type=_limit, default=0, metavar="N", help="test on N images at most; marked truncated"
    )
    p.add_argument(
        "--eval-only",
        nargs="?",
        const="",
        metavar="FILE",
        help="train nothing: evaluate the models of finished cells, or the fine-tuned model in FILE",
    )
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
    add_flags(p)


def _cells(p: argparse.ArgumentParser) -> None:
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


_CLUSTER = ("partition", "account", "time", "cpus_per_cell", "sbatch", "cluster")


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


def launch_of(args: argparse.Namespace) -> Launch:
    """Reads where and how cells run; UsageError for a cluster's options that cannot be meant."""
    from benchmarks.launch.choose import Launch
    from benchmarks.launch.slurm_options import Options

    slurm = Options.of(args) if args.launcher == "slurm" else None
    defaults = parser().parse_args([])
    for name in () if slurm else _CLUSTER:
        if getattr(args, name) != getattr(defaults, name):
            raise UsageError(
                f"--{name.replace('_', '-')} is for a cluster; add --launcher slurm, or leave it"
            )
    return Launch(args.policy, args.device, args.num_gpus, args.jobs, slurm)


def data_root(given: Path | None, synthetic: bool, output: Path) -> Path:
    """The folder of the data sets; generated ones lie with the results unless a root is given."""
    if given is not None:
        return given
    if synthetic:
        return output / "synthetic"
    return Path(os.environ.get("DETECTRON2_DATASETS") or "datasets")


def _positive(text: str) -> int:
    return _integer(text, 1, MOST)


def _trials(text: str) -> int:
    return _integer(text, 1, TRIALS)


def _candidates(text: str) -> int:
    return _integer(text, 1, TUNE)


def _limit(text: str) -> int:
    return _integer(text, 1, SEEDS)


def _seed(text: str) -> int:
    return _integer(text, 0, SEEDS - 1)


def _integer(text: str, least: int, most: int) -> int:
    plain = text.isascii() and text.isdecimal() and len(text) < 20
    if not plain or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}, got {text!r:.60}")
    return int(text)
