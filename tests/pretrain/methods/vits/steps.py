"""Runs twenty steps of vision transformers in forks of one process, as `joint.steps` does of ResNets.

Usage: python -m tests.pretrain.methods.vits.steps OUTPUT WORLD KIND,... leaves OUTPUT/KIND-WORLD-RANK.pt, of
the kinds ours, synchronised, published. `golden` instead writes golden numbers of the published runs.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import torch

from tests.pretrain.methods.joint.cases import EARLY
from tests.pretrain.methods.joint.steps import in_processes, write_golden
from tests.pretrain.methods.vits.cases import TINY, run_ours

GOLDEN = Path(__file__).parents[2] / "golden" / "vit_steps.json"


def run(kind: str, name: str) -> dict[str, Any]:
    if kind == "published":
        from tests.pretrain.methods.vits.published import run_published

        return run_published(name)
    if kind == "synchronised":
        return run_ours(name, steps=EARLY, sync_bn=True)
    return run_ours(name, sync_bn=False)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if sys.argv[1] == "golden":
        write_golden(GOLDEN, list(TINY), run)
    else:
        for kind in sys.argv[3].split(","):
            in_processes(Path(sys.argv[1]), int(sys.argv[2]), kind, list(TINY), run)
