"""Compares the training step of each row with lightly's and solo-learn's: loss, images a second, memory.

`python benchmarks/perf/pretrain_rows.py --lightly CHECKOUT [--solo-learn CHECKOUT] [--rows simclr dino]`.
Both sides have the same network with the same weights and the same views, ready in memory. First losses and
gradients of the encoder are compared in float64; then the steps are timed in float32 (or both under autocast
to bfloat16), in turn, each in a process of its own: on a CPU by the process clock of one thread, on a GPU by
the clock. Memory is the most that a process had from its first step on, less what it had before there were
networks; on a GPU, what torch had allocated there. A third contestant is the library in the memory format and
with the allocator that `python -m pretrain` sets: what ours has left over it is not owed to these two.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

WARM_UP = 3  # steps
CLOSE = 1e-5  # how far losses and gradients may lie apart, as a share


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--lightly", type=Path, metavar="DIR", help="checkout of lightly-ai/lightly")
    parser.add_argument("--solo-learn", type=Path, metavar="DIR", help="checkout of vturrisi/solo-learn")
    parser.add_argument("--rows", nargs="+", default=[], metavar="ROW", help="default: all that it has")
    parser.add_argument("--arch", default="resnet50")
    parser.add_argument("--vit", default="vit_small_patch16", help="the network of mae")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, metavar="FILE.json")
    return parser.parse_args()


def make(who: str, checkout: str, setting: Any) -> Callable[[str], Any]:
    """A process with one step; answers with its loss and gradients, its peak bytes, or seconds of a step."""
    import torch

    from benchmarks.perf.rows_ours import ours
    from pretrain.process.memory import keep_freed_memory

    sys.path.insert(0, checkout)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64 if setting.exact else torch.float32)
    device = torch.device(setting.device)
    if who != "ours":
        torch.set_default_device(device)
    library = _library(setting.library)
    for name in library.IMPORTS:  # now, or they would count as the memory of its steps
        importlib.import_module(name)
    before = _bytes("VmRSS") if device.type == "cpu" else 0
    training = ours(setting) if who == "ours" else library.training(setting)
    if who == "ours" or setting.tuned:
        keep_freed_memory()
    gc.collect()
    _forget_peak(device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=setting.half):
            loss = training.forward()
        training.update(loss)

    def answer(question: str) -> Any:
        if question == "loss":
            return _loss(training)
        if question == "peak":
            for _ in range(WARM_UP):
                step()
            return _peak(device) - before
        began = _clock(device)
        step()
        return _clock(device) - began

    return answer


def _loss(training: Any) -> tuple[float, list[float]]:
    """The first loss, and the norm of its gradient for each parameter of the encoder but the head's."""
    loss = training.forward()
    loss.backward()
    named = training.encoder.named_parameters()
    norms = [float(p.grad.norm()) for name, p in named if p.grad is not None and not name.startswith("fc.")]
    return loss.item(), norms


def _library(name: str) -> Any:
    if name == "lightly":
        from benchmarks.perf import rows_lightly

        return rows_lightly
    from benchmarks.perf import rows_solo

    return rows_solo


def _clock(device: Any) -> float:
    from benchmarks.perf.pretrain import cuda_clock

    return time.process_time() if device.type == "cpu" else cuda_clock()


def _forget_peak(device: Any) -> None:
    import torch

    if device.type == "cpu":
        Path("/proc/self/clear_refs").write_text("5")
    else:
        torch.cuda.reset_peak_memory_stats()


def _peak(device: Any) -> int:
    import torch

    return _bytes("VmHWM") if device.type == "cpu" else torch.cuda.max_memory_allocated()


def _bytes(name: str) -> int:
    """A quantity of this process's memory, by its name in /proc."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name))) * 1024


def compared(setting: Any, checkout: str, repeats: int) -> dict[str, Any]:
    """Differences, images a second and memory of one row: ours, the library's, and the latter tuned."""
    from benchmarks.perf.contestants import Contestant

    apart = differences(replace(setting, exact=True), checkout)
    settings = {"ours": setting, "theirs": setting, "theirs, tuned": replace(setting, tuned=True)}
    processes = {who: Contestant(make, who, checkout, each) for who, each in settings.items()}
    peaks = {who: process("peak") / 2**20 for who, process in processes.items()}
    seconds: dict[str, list[float]] = {who: [] for who in processes}
    for _ in range(repeats):
        for who, process in processes.items():
            seconds[who].append(process("seconds"))
    for process in processes.values():
        process.close()
    speed = {who: setting.batch_size / statistics.median(each) for who, each in seconds.items()}
    return {**apart, "images/s": speed, "peak MiB": peaks}


def differences(setting: Any, checkout: str) -> dict[str, Any]:
    """How far first losses and gradients of the encoder are apart in float64, as shares of ours.

    Of gradients that is the largest difference of the norms of a parameter's, by the largest norm.
    """
    from benchmarks.perf.contestants import Contestant

    found = {}
    for who in ("ours", "theirs"):
        process = Contestant(make, who, checkout, setting)
        found[who] = process("loss")
        process.close()
    (loss, norms), (other, others) = found["ours"], found["theirs"]
    factor, constant = _library(setting.library).TO_OURS.get(setting.row, (1.0, 0.0))
    worst = max(abs(a - factor * b) for a, b in zip(norms, others, strict=True)) / max(norms)
    return {
        "loss": loss,
        "losses apart": abs(loss - factor * other - constant) / abs(loss),
        "gradients apart": worst,
    }


def main() -> None:
    args = parse()
    import torch

    multiprocessing.set_forkserver_preload(
        ["torchvision", "timm", "pretrain.run", "benchmarks.perf.rows_ours"]
    )

    from benchmarks.perf.rows_ours import Setting

    card = f", {torch.cuda.get_device_name()}" if args.device != "cpu" else ""
    sizes = f"{args.arch}, {args.image_size} px, batch {args.batch_size}, {args.precision}"
    print(f"torch {torch.__version__}{card}, {sizes}")
    found: dict[str, Any] = {
        "torch": torch.__version__,
        "arguments": {k: str(v) for k, v in vars(args).items()},
    }
    for name, checkout in (("lightly", args.lightly), ("solo-learn", args.solo_learn)):
        if checkout is None:
            continue
        print(
            f"\n| row, against {name} | losses, gradients apart | images/s: ours, theirs, tuned "
            "| ratio to theirs, tuned | peak MiB | ratio |\n|---|---|---|---|---|---|"
        )
        library = _library(name)
        for row in [row for row in library.ROWS if row in args.rows or not args.rows]:
            arch = args.vit if row == "mae" else args.arch
            half = args.precision == "bf16"
            setting = Setting(row, name, arch, args.image_size, args.batch_size, args.device, half)
            result = found[f"{name} {row}"] = compared(setting, str(checkout), args.repeats)
            print(line(row, result, library.NOTES.get(row, "")), flush=True)
    if args.output:
        args.output.write_text(json.dumps(found, indent=2) + "\n")


def line(row: str, result: dict[str, Any], note: str) -> str:
    """A row of the table."""
    speed, peak = list(result["images/s"].values()), list(result["peak MiB"].values())
    apart = [result["losses apart"], result["gradients apart"]]
    words = f"{apart[0]:.0e}, {apart[1]:.0e}" + (" (not equal)" if apart[0] > CLOSE else "")
    cells = [
        row + (f" ({note})" if note else ""),
        words,
        ", ".join(f"{value:.1f}" for value in speed),
        f"{speed[0] / speed[1]:.2f}, {speed[0] / speed[2]:.2f}",
        ", ".join(f"{value:.0f}" for value in peak),
        f"{peak[0] / peak[1]:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # also runs as a file, without installation
    main()
