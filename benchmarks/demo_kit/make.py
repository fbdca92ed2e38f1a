"""Makes the weights that the demo starts from: `python -m benchmarks.demo_kit.make CHECKPOINT ...`.

They are the query encoder of a checkpoint of ours, head included, in half precision; a JSON beside them says
how they were made. Half the bytes cost nothing: features differ by 0.1 % (bfloat16: 0.8 %), kNN by nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from converters.options import Parser

WEIGHTS = Path(__file__).with_name("weights.safetensors")
PREFIX = "module.encoder_q."


def main(argv: Sequence[str] | None = None) -> int:
    """Writes both files beside this one; returns 0."""
    parser = Parser("python -m benchmarks.demo_kit.make", description="Makes the demo's weights.")
    parser.add_argument("checkpoint", type=Path, help="of python -m pretrain; log.jsonl lies beside it")
    for name, says in (
        ("command", "the command that made it"),
        ("commit", "of this project, at that time"),
        ("hardware", "and how long it took there"),
        ("images", "what they are, and how many"),
        ("terms", "of the images"),
    ):
        parser.add_argument(f"--{name}", required=True, metavar="TEXT", help=says)
    measured = "of pretrain.knn for checkpoints of the run, where its log has no kNN"
    parser.add_argument("--knn", type=Path, nargs="*", default=[], metavar="FILE.json", help=measured)
    args = vars(parser.parse_args(argv))
    write(args.pop("checkpoint"), WEIGHTS, args, args.pop("knn"))
    print(f"{WEIGHTS}: {WEIGHTS.stat().st_size / 1e6:.1f} MB")
    return 0


def write(checkpoint: Path, weights: Path, facts: dict[str, str], knn: Sequence[Path] = ()) -> None:
    """Writes the weights, and their JSON with the `facts` and what the checkpoint and its log say.

    `knn` are files of pretrain.knn, of checkpoints whose names end in their iteration.
    """
    import torch
    from safetensors.torch import save_file

    from benchmarks.demo_kit.verdict import knn_curve

    measured = [json.loads(path.read_text()) for path in knn]
    contents = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state = {n: v for n, v in contents["state_dict"].items() if n.startswith(PREFIX)}
    halves = {n: v.half() if v.is_floating_point() else v for n, v in state.items()}
    save_file(halves, weights, {"arch": contents["arch"]})
    lines = map(json.loads, (checkpoint.parent / "log.jsonl").read_text().splitlines())
    losses = [(line["iteration"], round(line["loss"], 3)) for line in lines if "loss" in line]
    found = {
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "arch": contents["arch"],
        "values": sum(v.numel() for v in state.values()),
        "iterations": contents["iteration"],
        **facts,
        "options": contents["identity"],
        "knn": {n: round(value, 2) for n, value in knn_curve(checkpoint.parent / "log.jsonl")}
        | {int(re.findall(r"\d+", one["pretrained"])[-1]): one["knn"] for one in measured},
        "loss": dict(losses[:: max(1, len(losses) // 50)]),
    }
    weights.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    from converters.command import command

    sys.exit(command(main))
