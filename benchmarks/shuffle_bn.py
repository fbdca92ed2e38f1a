"""Measures the leak that shuffling BN closes (MoCo v1, figure A.1): pretext and kNN accuracy.

`python benchmarks/shuffle_bn.py --data DIR --output DIR [--seeds 0 1 2] [--processes N] [pretrain options]`
trains with and without shuffling, once a seed, on a folder with class folders in train/ and test/, measures
how much of each network's pretext accuracy batch statistics give away (`python -m pretrain.leak`), and draws
the curves. With `--processes 1` BatchNorm works on `--bn-groups` virtual groups of one process; with
more, on the part of each process, as published. Finished runs are not repeated, interrupted ones go on.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

if __package__ in (None, ""):  # started as a file: our packages lie beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.launch import child
from converters.options import Parser
from results.tables.significance import Summary, summarize, welch_p

RUNS = {"with shuffling": [], "without shuffling": ["--no-shuffle-bn"]}
LEAK = "leak.json"
END = 0.1  # the share of a run, at its end, over which accuracies are averaged


class Run(NamedTuple):
    """Accuracies of one run in percent; curves are (iteration, accuracy)."""

    pretext: list[tuple[int, float]]
    knn: list[tuple[int, float]]
    own_groups: float
    shuffled: float


def main() -> int:
    parser = Parser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--data", required=True, help="class folders in train/ and in val/ or test/")
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N")
    parser.add_argument("--processes", type=int, default=1, help="gloo or nccl processes on this machine")
    parser.add_argument("--draw-only", action="store_true", help="read the runs that are in --output")
    args, options = parser.parse_known_args()
    runs: dict[str, list[Run]] = {title: [] for title in RUNS}
    for seed in sorted(set(args.seeds)):
        for title, more in RUNS.items():
            folder = args.output / title.replace(" ", "_") / f"seed{seed}"
            if not args.draw_only:
                code = train_and_measure(folder, args.data, args.processes, [*options, *more, "--seed", seed])
                if code:
                    return code
            try:
                runs[title].append(read(folder))
            except FileNotFoundError as error:
                print(f"error: {error.filename}: missing; run without --draw-only", file=sys.stderr)
                return 2
    draw(runs, args.output / "shuffle_bn.png")
    print(table(runs))
    print(args.output / "shuffle_bn.png")
    return 0


def train_and_measure(folder: Path, data: str, processes: int, options: list) -> int:
    """Trains once and measures the leak; returns the first exit code that is not 0."""
    train = [*launcher(processes), "-m", "pretrain", "--data", data, "--output", folder]
    if not any(str(option).startswith("--knn-every") for option in options):
        train += ["--knn-every", 1]
    leak = [sys.executable, "-m", "pretrain.leak", "--data", data, "--output", folder / LEAK]
    for words in ([*train, *options], [*leak, "--pretrained", folder / "checkpoint_last.pth.tar"]):
        code = child.run(list(map(str, words)), env=child.environment())
        if code:
            return code
    return 0


def launcher(processes: int) -> list[str]:
    if processes == 1:
        return [sys.executable]
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]


def read(folder: Path) -> Run:
    """Reads a finished run from its log and the file of pretrain.leak. Raises FileNotFoundError."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    pretext = [(line["iteration"], line["acc1"]) for line in lines if "acc1" in line]
    knn = [(line["iteration"], line["knn"]) for line in lines if "knn" in line]
    return Run(pretext, knn, **json.loads((folder / LEAK).read_text()))


def at_end(curve: list[tuple[int, float]]) -> float:
    """Mean over the last tenth of the iterations (at least the last point): less noise than one point."""
    last = curve[-1][0]
    values = [value for iteration, value in curve if iteration >= (1 - END) * last]
    return sum(values) / len(values)


def table(runs: dict[str, list[Run]]) -> str:
    """Mean and standard deviation over the seeds in Markdown, and the p-value of Welch's t-test a column."""
    from results.tables.markdown import md_block

    columns = {
        "pretext, training": lambda run: at_end(run.pretext),
        "pretext, own groups": lambda run: run.own_groups,
        "pretext, shuffled keys": lambda run: run.shuffled,
        "kNN": lambda run: at_end(run.knn),
    }
    summaries = {
        title: [summarize([value(run) for run in group]) for value in columns.values()]
        for title, group in runs.items()
    }
    p_values = [welch_p(a, b) for a, b in zip(*summaries.values(), strict=True)]
    rows = [[title, str(cells[0].n), *map(shown, cells)] for title, cells in summaries.items()]
    rows.append(["p (Welch)", "", *("-" if p is None else f"{p:.2g}" for p in p_values)])
    notes = ["per cent; mean ± standard deviation over the seeds; p: Welch's t-test"]
    return md_block("Shuffling BN", ["", "n", *columns], rows, notes)


def shown(summary: Summary) -> str:
    return f"{summary.mean:.1f}" + ("" if summary.std is None else f" ± {summary.std:.1f}")


def draw(runs: dict[str, list[Run]], path: Path) -> None:
    """Draws both pairs of curves: the mean over the seeds as a line, their range as a band."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.5))
    for title, group in runs.items():
        style = "--" if RUNS[title] else "-"
        for panel, curves in zip(panels, ([r.pretext for r in group], [r.knn for r in group]), strict=True):
            iterations, values = mean_curve(curves)
            low, middle, high = zip(*values, strict=True)
            (line,) = panel.plot(iterations, middle, label=f"{title} (n = {len(group)})", linestyle=style)
            panel.fill_between(iterations, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    for panel, name in zip(panels, ("pretext accuracy, %", "kNN accuracy, %"), strict=True):
        panel.set(xlabel="iteration", ylabel=name)
        panel.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def mean_curve(
    curves: list[list[tuple[int, float]]], points: int = 60
) -> tuple[list[int], list[tuple[float, float, float]]]:
    """(minimum, mean, maximum) over the curves at the iterations that they share.

    There are at most about `points` of them; of a longer curve each is the mean since the one before.
    """
    shared = sorted(set.intersection(*({iteration for iteration, _ in curve} for curve in curves)))
    stride = max(1, len(shared) // points)
    marks = shared[stride - 1 :: stride]
    values = []
    for before, mark in zip([-1, *marks], marks, strict=False):
        parts = [[value for iteration, value in curve if before < iteration <= mark] for curve in curves]
        means = [sum(part) / len(part) for part in parts]
        values.append((min(means), sum(means) / len(means), max(means)))
    return marks, values


if __name__ == "__main__":
    from converters.command import command

    sys.exit(command(main))
