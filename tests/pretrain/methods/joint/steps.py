"""Runs twenty steps in forks of one process, which cost no import: rows, by us or as published.

Usage: python -m tests.pretrain.methods.joint.steps OUTPUT WORLD KIND,... leaves OUTPUT/KIND-WORLD-RANK.pt.
Kinds are ours, synchronised, published, terms (`TERMS` added to one row, norms in common), and divided:
Barlow Twins alone, with norms in common and the published gradient. `golden` instead of all this writes the
golden numbers of the published runs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist

from pretrain.methods.joint import terms
from tests.pretrain.methods.joint import oracles, published, published_dense
from tests.pretrain.methods.joint.cases import EARLY, TINY, digest, run_ours

GOLDEN = Path(__file__).parents[2] / "golden" / "joint_steps.json"
PUBLISHED = {**published.RUNS, **published_dense.RUNS, **oracles.RUNS}
# With these two processes are one: gradients of Barlow Twins are then summed as autograd would.
SYNCHRONISED: dict[str, dict[str, Any]] = {"barlow": {"exact_gradient": True}}

# What is added to the one row that `terms` runs: all there are.
TERMS = tuple((name, 0.1 + 0.05 * number) for number, name in enumerate(terms.TERMS))
ALONE = {"divided": "barlow", "terms": "vicreg"}


def run(kind: str, name: str) -> dict[str, Any]:
    if kind == "published":
        return published.run_published(name, PUBLISHED)
    if kind == "synchronised":
        return run_ours(name, steps=EARLY, sync_bn=True, **SYNCHRONISED.get(name, {}))
    if kind == "divided":
        return run_ours(name, steps=EARLY, sync_bn=True)
    if kind == "terms":
        return run_ours(name, steps=EARLY, sync_bn=True, terms=TERMS)
    return run_ours(name, sync_bn=False)


def in_processes(
    folder: Path, world: int, kind: str, names: list[str], run: Callable[[str, str], dict[str, Any]] = run
) -> list[dict[str, Any]]:
    """The results of each process, a dictionary by row; raises where one of them fails."""
    children = []
    for rank in range(world):
        child = os.fork()
        if child:
            children.append(child)
            continue
        code = 1
        try:
            place = f"file://{folder}/{kind}-{world}.store"
            dist.init_process_group("gloo", init_method=place, rank=rank, world_size=world)
            results = {name: run(kind, name) for name in names}
            torch.save(results, folder / f"{kind}-{world}-{rank}.pt")
            dist.destroy_process_group()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    if any([os.waitpid(child, 0)[1] for child in children]):
        raise SystemExit(f"a process of {kind} failed")
    return [torch.load(folder / f"{kind}-{world}-{rank}.pt") for rank in range(world)]


def write_golden(path: Path, names: list[str], run: Callable[[str, str], dict[str, Any]] = run) -> None:
    golden: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for world in (1, 2):
            first, *_ = in_processes(Path(folder), world, "published", names, run)
            golden[str(world)] = {name: digest(result) for name, result in first.items()}
    path.write_text(json.dumps(_rounded(golden), indent=0) + "\n")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else float(f"{value:.9g}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if sys.argv[1] == "golden":
        write_golden(GOLDEN, list(PUBLISHED))
    else:
        folder, world, kinds = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",")
        for kind in kinds:
            in_processes(folder, world, kind, [ALONE[kind]] if kind in ALONE else list(TINY))
