"""Speed and memory of a step of every joint-embedding row, against lightly's losses and its example's step.

`PYTHONPATH=DIR python benchmarks/perf/pretrain_rows.py [--rows simclr byol ...]`, DIR being where lightly was
installed (pip install --target DIR lightly). Both sides have the same network and equal first weights, of
which the losses of the first step, printed beside the speed, are the proof. Images are ready on the device.
Each side has a process of its own, they are timed in turn, and medians are reported; on a CPU the clock is
that of the process. A row whose loss lightly lacks is timed alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file: our packages lie beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.perf.contestants import Contestant
from benchmarks.perf.pretrain import WARM_UP, cuda_clock, used_memory
from pretrain.methods.choose import row_names

EQUAL = 1e-3  # largest relative difference of the first losses


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", nargs="+", choices=row_names(), default=row_names())
    parser.add_argument("--arch", default="resnet50")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--queue", type=int, default=65536, help="keys, of rows that have a queue")
    parser.add_argument("--prototypes", type=int, default=3000, help="of rows that have some")
    parser.add_argument("--width", type=int, help="of all layers of heads; default: the published ones")
    parser.add_argument(
        "--threads", type=int, default=1, help="torch threads; the process clock adds them up"
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--output", type=Path, metavar="FILE.json")
    return parser.parse_args()


def answering(args: argparse.Namespace, name: str, who: str) -> Callable[[str], Any]:
    """A process of one step; answers with the next one's seconds, the peak bytes or the first loss."""
    import torch

    from benchmarks.perf.pretrain_steps import step_of
    from pretrain.process.memory import keep_freed_memory

    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    clock = cuda_clock if device.type == "cuda" else time.process_time
    if who == "ours":
        keep_freed_memory()  # as `python -m pretrain` does
    before = used_memory(device, peak=False)
    step = step_of(args, name, who)
    losses = [step() for _ in range(WARM_UP)]
    peak = used_memory(device, peak=True) - before

    def answer(question: str) -> float:
        if question != "seconds":
            return {"peak": peak, "loss": losses[0]}[question]
        began = clock()
        step()
        return clock() - began

    return answer


def compared(args: argparse.Namespace, name: str) -> dict[str, dict[str, float]]:
    """Of each side that there is: images a second, peak MiB, and the loss of the first step."""
    from benchmarks.perf.pretrain_lightly import STEPS

    sides = ["ours", *["lightly"] * (name in STEPS)]
    processes = {who: Contestant(answering, args, name, who) for who in sides}
    seconds: dict[str, list[float]] = {who: [] for who in sides}
    for _ in range(args.repeats):
        for who, process in processes.items():
            seconds[who].append(process("seconds"))
    found = {
        who: {
            "images/s": args.batch_size / statistics.median(seconds[who]),
            "MiB": process("peak") / 2**20,
            "loss": process("loss"),
        }
        for who, process in processes.items()
    }
    for process in processes.values():
        process.close()
    return found


def line(name: str, found: dict[str, dict[str, float]]) -> str:
    """A row of the table; SystemExit where the two sides do not compute the same loss."""
    ours = found["ours"]
    if "lightly" not in found:
        return f"| {name} | {ours['images/s']:.2f} | - | - | {ours['MiB']:.0f} | - | - | {ours['loss']:.4f} |"
    theirs = found["lightly"]
    if abs(ours["loss"] - theirs["loss"]) > EQUAL * max(1.0, abs(theirs["loss"])):
        raise SystemExit(f"error: {name}: our first loss is {ours['loss']}, lightly's {theirs['loss']}")
    numbers = [
        f"{ours[key]:.{digits}f} | {theirs[key]:.{digits}f} | {ours[key] / theirs[key]:.2f}"
        for key, digits in (("images/s", 2), ("MiB", 0))
    ]
    return f"| {name} | {' | '.join(numbers)} | {ours['loss']:.4f} |"


def main() -> None:
    args = parse()
    result = {}
    print(
        "| row | images/s: ours | lightly | ratio | peak MiB: ours | lightly | ratio | first loss, of both |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in args.rows:
        result[name] = compared(args, name)
        print(line(name, result[name]), flush=True)
    if args.output:
        args.output.write_text(json.dumps({**vars(args), "output": None, "result": result}, indent=2) + "\n")


if __name__ == "__main__":
    main()
