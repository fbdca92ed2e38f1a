"""Runs the whole mission in miniature, on generated images and two CPU cores: `python -m benchmarks.demo`.

Each step is a command that a user can type; it is printed before it runs. A second call reuses what is there.
Pre-training is shown live, and goes on from weights that an hour of it on real images made before
(`demo_kit/weights.json` says how): what minutes on drawn images teach does not transfer. Everything lies
under the folder where it is started. The checkpoints of the live run, with both encoders and the optimizer
many times the backbone, are removed once the backbone is taken from them.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # started as a file: our packages lie beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.errors import one_line
from benchmarks.launch import child
from converters.command import command, typed
from converters.options import Parser
from transfer.errors import TransferError
from transfer.process.disk import disk_line, is_full

WEIGHTS = Path(__file__).resolve().parent / "demo_kit" / "weights.safetensors"
# Each word of a command is filled in by itself, so that a folder's name may hold spaces and quotes.
# Few steps at a low rate: a thousand on drawn images would unlearn what real ones taught.
PRETRAIN = """-m pretrain --data {output}/objects --output {output}/pretrain --start-from {weights}
    --arch {arch} --mlp --aug-plus --cos --moco-k 512 --moco-t 0.2 --moco-m 0.99 --image-size 64
    --batch-size 64 {length} {pretraining} --lr 0.01 --seed {seed} --keep 1 --knn-every 2"""
CONVERT = "-m converters {output}/pretrain/checkpoint_last.pth.tar {output}/moco.pkl"
BENCHMARK = """-m benchmarks.run --suite voc_c4 --init random@moco moco={output}/moco.pkl --smoke
    --data synthetic --trials {trials} --seed {first_seed} --jobs {jobs} --output {output}
    SOLVER.MAX_ITER {iterations} SOLVER.STEPS []"""
REPORT = "-m results report {output} -o {output}/report.html"
TABLE = "-m results table {output} --reference random@moco --no-published"
EPOCHS = 8  # of the live pre-training
ITERATIONS = 60  # of fine-tuning; after the miniature's own 100 a shallow network drawn anew nearly keeps up
TRIALS = 4  # seeds of each row
METRICS = ("bbox/AP", "bbox/AP50")  # which the two rows are tested in
MOST_SEED = 10**6


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo; returns the exit code of the first step that fails, 2 where nothing can be written."""
    parser = Parser(
        "python -m benchmarks.demo", description="Pre-train, convert, fine-tune, table: in miniature."
    )
    parser.add_argument(
        "--iterations", type=int, metavar="N", help="so few in both trainings, and one trial, to try it"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of images and trainings (0)")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="default: runs/demo, with a seed or --iterations runs/demo-N",
    )
    args = parser.parse_args(argv)
    if args.iterations is not None and args.iterations < 1:
        parser.error(f"--iterations: expected at least 1, got {args.iterations}")
    if not 0 <= args.seed <= MOST_SEED:
        parser.error(f"--seed: expected 0 to {MOST_SEED}, got {args.seed}")
    marks = [f"-seed{args.seed}"] * bool(args.seed) + [f"-{args.iterations}"] * bool(args.iterations)
    output = args.output or Path("runs") / "".join(["demo", *marks])
    try:
        code = run_steps(output, args.iterations, args.seed)
        if code == 0:
            _tell(output)
    except TransferError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        advice = "" if is_full(error) else "; choose another --output"
        print(f"error: {one_line(disk_line(error, str(output)))}{advice}", file=sys.stderr)
        return 2
    return code


def run_steps(output: Path, iterations: int | None, seed: int) -> int:
    """Makes the backbone unless it is there, then fine-tunes; returns the first exit code that is not 0."""
    trials = 1 if iterations else TRIALS
    values = {
        "output": str(output), "weights": str(WEIGHTS), "iterations": str(iterations or ITERATIONS),
        "arch": json.loads(WEIGHTS.with_suffix(".json").read_text())["arch"],
        "length": "--max-iters" if iterations else "--epochs", "pretraining": str(iterations or EPOCHS),
        "seed": str(seed), "first_seed": str(seed * TRIALS), "trials": str(trials),
        "jobs": str(min(trials, os.cpu_count() or 1)),
    }  # fmt: skip
    print(f"images: {output / 'synthetic'}; their objects: {output / 'objects'}", flush=True)
    _make_images(output, seed)
    if not (output / "moco.pkl").exists():
        what = "pre-train live: MoCo v2, a narrow ResNet-18, from shipped weights, on drawn objects"
        code = _step("1/5", what, PRETRAIN, values)
        code = code or _step("2/5", "convert the checkpoint to a Detectron2 backbone", CONVERT, values)
        if code:
            return code
    for checkpoint in (output / "pretrain").glob("checkpoint_*.pth.tar"):
        checkpoint.unlink()
    what = "fine-tune and evaluate: Faster R-CNN C4, freshly drawn weights against MoCo's, one core a cell"
    code = _step("3/5", what, BENCHMARK, values)
    code = code or _step("4/5", "one page of all of it", REPORT, values)
    return code or _step("5/5", "the two rows; in brackets the gap, with ** for p < 0.01", TABLE, values)


def _step(number: str, what: str, template: str, values: dict[str, str]) -> int:
    words = [word.format(**values) for word in shlex.split(template)]
    print(f"\n[{number}] {what}\n$ {typed(words)}", flush=True)
    # Warnings of the libraries about themselves would bury what a newcomer should see.
    quiet = child.environment({"PYTHONWARNINGS": "ignore"})
    return child.run([sys.executable, *words], env=quiet)


def _make_images(output: Path, seed: int) -> None:
    from benchmarks.demo_kit.objects import cut_objects
    from transfer.datasets.synthetic.make import make_synthetic
    from transfer.recipes.resolve import load_recipe

    datasets = load_recipe("voc_c4").DATASETS
    make_synthetic([*datasets.TRAIN, *datasets.TEST], output / "synthetic", seed=seed)
    cut_objects(output / "synthetic", output / "objects")


def _tell(output: Path) -> None:
    """Prints the verdict and where everything lies."""
    from benchmarks.demo_kit import verdict

    curve = verdict.knn_curve(output / "pretrain" / "log.jsonl")
    for metric in METRICS:
        print(verdict.verdict(output, "moco", "random@moco", metric))
    print(verdict.curve_line(curve))
    print("picture:", verdict.draw(output, ("random@moco", "moco"), METRICS[1], curve))
    print("report:", output / "report.html")
    print(f"all of it lies in {output.absolute()}: {megabytes(output)} MB")


def megabytes(folder: Path) -> int:
    """The size of all files under a folder; one with two names counts once."""
    files = {(s.st_dev, s.st_ino): s.st_size for s in map(os.stat, filter(Path.is_file, folder.rglob("*")))}
    return round(sum(files.values()) / 1e6)


if __name__ == "__main__":
    sys.exit(command(main))
