"""Times a conversion: `python -m benchmarks.perf.convert [--rounds N] [--json FILE]`.

Generates a MoCo v2 checkpoint in the official layout (query, key, queue of 65,536 and optimizer, 370 MB) and
compares, each in a process of its own and in turns:

  field  `torch.load` and `pickle.dump` of the query encoder, as the published converters do
  ours   read, choose, prove, check health, hash the whole file and all its CRCs, write and sync the backbone

Seconds are without imports. Goal: at most 2.5 times the field's time, with a lower peak of memory.
"""

from __future__ import annotations

import argparse
import json
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

GOAL = 2.5
PREFIX = "module.encoder_q."


def generate(path: Path) -> None:
    """Writes the checkpoint after some pretended training: norms and statistics have moved."""
    import torch
    import torchvision

    torch.manual_seed(0)
    encoders = []
    for _ in range(2):
        net = torchvision.models.resnet50(num_classes=128)
        net.fc = torch.nn.Sequential(torch.nn.Linear(2048, 2048), torch.nn.ReLU(), net.fc)
        for name, value in net.state_dict().items():
            if value.is_floating_point() and value.ndim == 1:
                value.add_(torch.rand_like(value), alpha=0.1)
            elif name.endswith("num_batches_tracked"):
                value.fill_(1_000_000)
        encoders.append(net)
    query, key = encoders
    optimizer = torch.optim.SGD(query.parameters(), 0.03, momentum=0.9, weight_decay=1e-4)
    for parameter in query.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    state = {f"{PREFIX}{name}": value for name, value in query.state_dict().items()}
    state |= {f"module.encoder_k.{name}": value for name, value in key.state_dict().items()}
    state |= {"module.queue": torch.randn(128, 65536), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    content = {"epoch": 200, "arch": "resnet50", "state_dict": state, "optimizer": optimizer.state_dict()}
    torch.save(content, path)


def field(source: Path, target: Path) -> float:
    """Seconds of the published converters' way, without a check of any kind."""
    import torch

    start = time.perf_counter()
    state = torch.load(source, map_location="cpu")["state_dict"]
    query = {n.removeprefix(PREFIX): v.numpy() for n, v in state.items() if n.startswith(PREFIX)}
    with target.open("wb") as file:
        pickle.dump({"model": query, "__author__": "x", "matching_heuristics": True}, file)
    return time.perf_counter() - start


def ours(source: Path, target: Path) -> float:
    """Seconds of our whole conversion."""
    from converters.backbone import save_backbone
    from converters.convert import open_checkpoint

    start = time.perf_counter()
    save_backbone(open_checkpoint(source), target)
    return time.perf_counter() - start


def peak_mb() -> float:
    """This process's own peak of memory; getrusage would include the parent's, which it inherits."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


CONTENDERS = {"field": field, "ours": ours}


def measure(name: str, source: Path, target: Path) -> dict[str, float]:
    """Runs one contender in a fresh process; returns its seconds and its peak of memory."""
    command = [sys.executable, "-m", "benchmarks.perf.convert", "--worker", name, str(source), str(target)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def compare(rounds: int) -> dict[str, Any]:
    """Medians over the rounds, and the best, which says more on a busy machine."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "moco_v2.pth.tar", Path(folder) / "backbone.pkl"
        command = [sys.executable, "-m", "benchmarks.perf.convert", "--worker", "generate", str(source), "-"]
        subprocess.run(command, check=True)
        results: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
        for turn in range(rounds + 1):  # the first turn warms the page cache for both
            for name in CONTENDERS:
                result = measure(name, source, target)
                if turn:
                    results[name].append(result)
                print(f"{name:6} {result['seconds']:6.2f} s  {result['peak_mb']:6.0f} MB", file=sys.stderr)
        size = source.stat().st_size
    table: dict[str, Any] = {"checkpoint_bytes": size, "rounds": rounds}
    for name, rows in results.items():
        seconds = [row["seconds"] for row in rows]
        table[name] = {
            "median_s": statistics.median(seconds),
            "best_s": min(seconds),
            "peak_mb": max(row["peak_mb"] for row in rows),
        }
    table["ratio"] = table["ours"]["median_s"] / table["field"]["median_s"]
    table["ratio_of_best"] = table["ours"]["best_s"] / table["field"]["best_s"]
    table["goal_met"] = table["ratio"] <= GOAL and table["ours"]["peak_mb"] < table["field"]["peak_mb"]
    return table


def main() -> int:
    """Prints the comparison as JSON; exit code 1 where the goal is missed."""
    summary = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.perf.convert", description=summary)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--worker", nargs=3, metavar=("NAME", "SOURCE", "TARGET"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        name, source, target = args.worker
        if name == "generate":
            generate(Path(source))
            return 0
        seconds = CONTENDERS[name](Path(source), Path(target))
        print(json.dumps({"seconds": seconds, "peak_mb": peak_mb()}))
        return 0
    table = compare(args.rounds)
    text = json.dumps(table, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")
    return 0 if table["goal_met"] else 1


if __name__ == "__main__":
    sys.exit(main())
