"""Fits recipes to other numbers of processes: the linear rule, or accumulation that keeps the batch.

A recipe says in SOLVER.REFERENCE_WORLD_SIZE for how many GPUs its batch and schedule are (0: any number).
The linear rule (Goyal et al., arXiv 1706.02677; Detectron2's `auto_scale_workers`) keeps the images of a
process and moves batch, learning rate and schedule. Accumulation keeps all of these: the processes compute
the reference's shares of a batch one after the other, and the mean of their gradients makes one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from boltons.strutils import cardinalize
from yacs.config import CfgNode

from transfer.errors import TransferError
from transfer.recipes.architectures import architecture_of

REFERENCE = "SOLVER.REFERENCE_WORLD_SIZE"
# What the rule moves; a user who sets one of them without the reference has decided otherwise.
SCALED = (
    "SOLVER.IMS_PER_BATCH",
    "SOLVER.BASE_LR",
    "SOLVER.MAX_ITER",
    "SOLVER.STEPS",
    "SOLVER.WARMUP_ITERS",
)


@dataclass(frozen=True)
class Scaling:
    """Describes how a recipe meets the number of processes that it runs on."""

    how: str  # "none" | "linear" | "accumulation" | "off"
    reference: int  # processes that the recipe is written for; 0: it does not say
    actual: int
    micro_steps: int  # forward and backward passes of a process for one step of SGD
    line: str  # for the user; empty where there is nothing to say
    reason: str  # why a number is not the reference's; empty where nothing moved

    def entry(self) -> dict[str, Any]:
        """The fields that a run's record keeps, which are all but `line`."""
        return {k: v for k, v in asdict(self).items() if k != "line"}


def plan_scaling(
    flat: Mapping[str, Any], processes: int, overridden: Iterable[str] = (), accumulate: bool = False
) -> Scaling:
    """Decides how a flat recipe runs on `processes` processes; TransferError where it cannot."""
    reference, batch = flat[REFERENCE], flat["SOLVER.IMS_PER_BATCH"]
    if reference and batch % reference:
        raise TransferError(
            f"SOLVER.IMS_PER_BATCH {batch} is not a multiple of {REFERENCE} {reference}; change one"
        )
    if accumulate:
        return _accumulation(flat, reference, processes)
    if reference in (0, processes):
        return Scaling("none", reference, processes, 1, "", "")
    said = set(overridden)
    own = [key for key in SCALED if key in said]
    if own and REFERENCE not in said:  # values of the user's own, and no word for how many GPUs they are
        on = f"batch {batch} on {processes} {cardinalize('process', processes)}"
        line = f"scaling: off, because you set {', '.join(own)}; {on}"
        return Scaling("off", reference, processes, 1, line, "")
    scaled = _batch(batch, reference, processes)
    rule = f"by the linear rule: batch {scaled} for the recipe's {batch}"
    what = f"from {reference} to {_gpus(processes)} {rule}"
    return Scaling("linear", reference, processes, 1, f"scaling: {what}", f"scaled {what}")


def apply_scaling(cfg: CfgNode, scaling: Scaling, overridden: Iterable[str] = ()) -> CfgNode:
    """Applies the linear rule to a copy, as Detectron2's `auto_scale_workers` does; else gives `cfg` itself.

    A checkpoint period that the user set (`overridden`) moves no number and stays his.
    """
    if scaling.how != "linear":
        return cfg
    scale = scaling.actual / scaling.reference
    cfg = cfg.clone()
    solver = cfg.SOLVER
    solver.IMS_PER_BATCH = _batch(solver.IMS_PER_BATCH, scaling.reference, scaling.actual)
    solver.BASE_LR = solver.BASE_LR * scale
    for name in ("MAX_ITER", "WARMUP_ITERS"):
        solver[name] = round(solver[name] / scale)
    if "SOLVER.CHECKPOINT_PERIOD" not in set(overridden):
        solver.CHECKPOINT_PERIOD = max(1, round(solver.CHECKPOINT_PERIOD / scale))
    solver.STEPS = type(solver.STEPS)(round(step / scale) for step in solver.STEPS)
    solver.REFERENCE_WORLD_SIZE = scaling.actual
    return cfg


def _gpus(count: int) -> str:
    return f"{count} {'GPU' if count == 1 else 'GPUs'}"


def _batch(batch: int, reference: int, processes: int) -> int:
    return round(batch * processes / reference)


def _accumulation(flat: Mapping[str, Any], reference: int, processes: int) -> Scaling:
    if reference == 0:
        raise TransferError(
            f"--accumulate: {REFERENCE} is 0: there are no GPUs to stand in for; set it, or go without"
        )
    if reference % processes:
        raise TransferError(
            f"--accumulate: {reference} processes' work cannot be shared by {processes}; take a divisor of it"
        )
    steps, images = reference // processes, flat["SOLVER.IMS_PER_BATCH"] // reference
    if steps == 1:
        return Scaling("none", reference, processes, 1, "", "")
    said = f"{_gpus(processes)} for {reference}: {steps} micro-steps a step"
    # With trained BN it is not the same step: the norms see fewer images at a time.
    seen = images * processes
    reason = f"accumulated, {said}, with BN statistics of {seen} images at a time" if _trains_bn(flat) else ""
    return Scaling("accumulation", reference, processes, steps, f"scaling: accumulation, {said}", reason)


def _trains_bn(flat: Mapping[str, Any]) -> bool:
    norms = [flat[key] for key in architecture_of(flat).norms]
    return any(norm.endswith("BN") and norm != "FrozenBN" for norm in norms)
