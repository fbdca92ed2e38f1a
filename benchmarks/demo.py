"""Runs the whole mission in miniature, on generated images and two CPU cores: `python -m benchmarks.demo`.

Each step is a command that a user can type; it is printed before it runs. A second call reuses what is there.
Everything lies under the folder where it is started. The checkpoints of the pre-training, with both encoders
and the optimizer many times the backbone, are removed once the backbone is taken from them.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # started as a file: our packages lie beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.errors import one_line
from benchmarks.launch import child
from converters.command import command
from converters.options import Parser
from transfer.errors import TransferError
from transfer.process.disk import disk_line, is_full

# Each word of a command is filled in by itself, so that a folder's name may hold spaces and quotes.
# VOC2012 has no test split, so pre-training sees no test image.
PRETRAIN = """-m pretrain --data {output}/synthetic/VOC2012/JPEGImages --output {output}/pretrain
    --arch resnet50 --mlp --aug-plus --cos --moco-k 512 --moco-t 0.2 --moco-m 0.99 --image-size 64
    --batch-size 32 --max-iters {iterations} --lr 0.03 --seed 0 --keep 1"""
CONVERT = "-m converters {output}/pretrain/checkpoint_last.pth.tar {output}/moco_demo.pkl"
BENCHMARK = """-m benchmarks.run --suite voc_c4 --init random 'moco (demo)={output}/moco_demo.pkl' --smoke
    --data synthetic --output {output}"""
SHORTER = " SOLVER.MAX_ITER {iterations} SOLVER.STEPS []"
ITERATIONS = 90  # of the pre-training; the miniature of the suite has a schedule of its own


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo; returns the exit code of the first step that fails, 2 where nothing can be written."""
    parser = Parser(
        "python -m benchmarks.demo", description="Pre-train, convert, fine-tune, table: in miniature."
    )
    parser.add_argument(
        "--iterations", type=int, metavar="N", help="so few in both trainings, to try an installation"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="default: runs/demo, with --iterations runs/demo-N"
    )
    args = parser.parse_args(argv)
    if args.iterations is not None and args.iterations < 1:
        parser.error(f"--iterations: expected at least 1, got {args.iterations}")
    name = "demo" if args.iterations is None else f"demo-{args.iterations}"
    output = args.output or Path("runs") / name
    try:
        code = run_steps(output, args.iterations)
    except TransferError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        advice = "" if is_full(error) else "; choose another --output"
        print(f"error: {one_line(disk_line(error, str(output)))}{advice}", file=sys.stderr)
        return 2
    if code == 0:
        print("pictures:", *sorted(output.glob("cells/voc_c4/*/samples.png")))
        print(f"all of it lies in {output.absolute()}: {megabytes(output)} MB")
    return code


def run_steps(output: Path, iterations: int | None) -> int:
    """Makes the backbone unless it is there, then fine-tunes; returns the first exit code that is not 0."""
    values = {"output": str(output), "iterations": str(iterations or ITERATIONS)}
    _make_images(output / "synthetic")
    if not (output / "moco_demo.pkl").exists():
        code = _step("1/3", "pre-train a ResNet-50 with MoCo v2 on unlabelled images", PRETRAIN, values)
        code = code or _step("2/3", "convert the checkpoint to a Detectron2 backbone", CONVERT, values)
        if code:
            return code
    for checkpoint in (output / "pretrain").glob("checkpoint_*.pth.tar"):
        checkpoint.unlink()
    what = "fine-tune and evaluate: Faster R-CNN R50-C4, random against MoCo"
    return _step("3/3", what, BENCHMARK + (SHORTER if iterations else ""), values)


def _step(number: str, what: str, template: str, values: dict[str, str]) -> int:
    words = [word.format(**values) for word in shlex.split(template)]
    print(f"\n[{number}] {what}\n$ python {shlex.join(words)}", flush=True)
    # Warnings of the libraries about themselves would bury what a newcomer should see.
    quiet = child.environment({"PYTHONWARNINGS": "ignore"})
    return child.run([sys.executable, *words], env=quiet)


def _make_images(root: Path) -> None:
    from transfer.datasets.synthetic.make import make_synthetic
    from transfer.recipes.resolve import load_recipe

    datasets = load_recipe("voc_c4").DATASETS
    make_synthetic([*datasets.TRAIN, *datasets.TEST], root)


def megabytes(folder: Path) -> int:
    """The size of all files under a folder; one with two names counts once."""
    files = {(s.st_dev, s.st_ino): s.st_size for s in map(os.stat, filter(Path.is_file, folder.rglob("*")))}
    return round(sum(files.values()) / 1e6)


if __name__ == "__main__":
    sys.exit(command(main))
