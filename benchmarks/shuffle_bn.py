"""The leak that shuffling BN closes: pretext accuracy and kNN accuracy, with and without (the paper's figure
A.1).

`python benchmarks/shuffle_bn.py --data DIR --output DIR [--processes N] [pretrain options]` trains twice on a
folder with class folders in train/ and test/, and draws the two pairs of curves. With `--processes 1`
BatchNorm works on `--bn-groups` virtual groups of one process; with more, on the part of each process, as
published. Finished runs are not repeated, interrupted ones go on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

RUNS = {"with shuffling": [], "without shuffling": ["--no-shuffle-bn"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0], allow_abbrev=False)
    parser.add_argument("--data", required=True, help="class folders in train/ and in val/ or test/")
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--processes", type=int, default=1, help="gloo or nccl processes on this machine")
    parser.add_argument("--draw-only", action="store_true", help="read the runs that are in --output")
    args, options = parser.parse_known_args()
    curves = {}
    for title, more in RUNS.items():
        folder = args.output / title.replace(" ", "_")
        if not args.draw_only:
            command = [
                *launcher(args.processes),
                "-m",
                "pretrain",
                "--data",
                args.data,
                "--output",
                str(folder),
            ]
            code = subprocess.run([*command, "--knn-every", "1", *options, *more], check=False).returncode
            if code:
                return code
        if not (folder / "log.jsonl").is_file():
            print(f"error: {folder}: holds no log.jsonl; run without --draw-only", file=sys.stderr)
            return 2
        curves[title] = read(folder / "log.jsonl")
    draw(curves, args.output / "shuffle_bn.png")
    for title, (pretext, knn) in curves.items():
        best = max(knn, key=lambda point: point[1])
        end = f"pretext accuracy {pretext[-1][1]:.1f}, kNN {knn[-1][1]:.1f} at the end"
        print(f"{title}: {end} (best {best[1]:.1f} at iteration {best[0]}, {knn[0][1]:.1f} before training)")
    print(args.output / "shuffle_bn.png")
    return 0


def launcher(processes: int) -> list[str]:
    if processes == 1:
        return [sys.executable]
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]


def read(log: Path) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """(iteration, percent) of the pretext task and of the kNN monitor."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    pretext = [(line["iteration"], line["acc1"]) for line in lines if "acc1" in line]
    return pretext, [(line["iteration"], line["knn"]) for line in lines if "knn" in line]


def draw(curves: dict[str, tuple[list, list]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.5))
    for title, pair in curves.items():
        for panel, points in zip(panels, pair, strict=True):
            panel.plot(
                *zip(*points, strict=True), label=title, linestyle="-" if "without" not in title else "--"
            )
    for panel, name in zip(panels, ("pretext accuracy, %", "kNN accuracy, %"), strict=True):
        panel.set(xlabel="iteration", ylabel=name)
        panel.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
