"""Seconds of a training step: the embedded engine in fp32 and bfloat16 against Detectron2 in fp32.

    python -m benchmarks.perf.train [--suite voc_c4 coco_fpn_1x] [--device cpu] [--threads N] [--short 320]
                                    [--images 2] [--regions 128] [--steps 5]

All get the same recipe, weights and images in one run, each engine in its own process. Their steps are taken
in turns, so that a busy machine slows all alike. Printed are medians and the ratio to Detectron2 fp32, and
where the time goes. On a CPU the harness keeps freed memory (`transfer.process.memory`); Detectron2 is
measured without and with that.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn
from yacs.config import CfgNode

from benchmarks.perf.contestants import Contestant
from benchmarks.perf.engines import baseline_found, detector, header, made_samples, settle, sync
from transfer.engines.base import Engine
from transfer.samples.sample import Sample

PARTS = ("backbone", "proposal_generator")
BASELINE = "detectron2 fp32"
WARM_UP = 2


def main() -> None:
    """Prints a table a suite, and where the time of each engine goes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", nargs="+", default=["voc_c4", "coco_fpn_1x"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--short", type=int, default=320, help="shorter image side in pixels (recipes: 800)")
    parser.add_argument("--images", type=int, default=2, help="images a step (recipes: 2 a GPU)")
    parser.add_argument("--regions", type=int, default=128, help="regions an image (recipes: 512)")
    parser.add_argument("--steps", type=int, default=5)
    args = parser.parse_args()
    print(header(args, torch.device(args.device)))
    engines = {"torchvision": ("torchvision", True)}
    if baseline_found():
        stock = {"detectron2": ("detectron2", False)}
        kept = {"detectron2, memory kept": ("detectron2", True)} if args.device == "cpu" else {}
        engines = stock | kept | engines
    for suite in args.suite:
        _compare(suite, args, engines)


def _compare(suite: str, args: argparse.Namespace, engines: dict[str, tuple[str, bool]]) -> None:
    processes = {name: Contestant(_make_step, suite, args, *which) for name, which in engines.items()}
    steps = {
        f"{name} {'bf16' if half else 'fp32'}": (process, half)
        for name, process in processes.items()
        for half in (False, True)
    }
    steps = {label: step for label, step in steps.items() if _works(label, *step)}
    seconds: dict[str, list[float]] = {label: [] for label in steps}
    for _ in range(args.steps):
        for label, (process, half) in steps.items():
            seconds[label].append(process(half))
    base = statistics.median(seconds.get(BASELINE, [float("nan")]))
    print(f"\n{suite}: {args.images} images of {args.short} pixels, {args.regions} regions an image")
    print(f"{'':<30}{'s/step':>9}{'best':>9}{'x ' + BASELINE:>20}")
    for label, values in seconds.items():
        median = statistics.median(values)
        print(f"{label:<30}{median:>9.3f}{min(values):>9.3f}{base / median:>20.2f}", flush=True)
    for label, (process, half) in steps.items():
        print(f"where the time goes, {label}: {process(half, True)}")
    for process in processes.values():
        process.close()


def _works(label: str, process: Contestant, half: bool) -> bool:
    """The first steps warm up; Detectron2 has operators without bfloat16 on some devices."""
    try:
        for _ in range(WARM_UP):
            process(half)
    except RuntimeError as error:
        print(f"{label}: the step failed: {error}")
        return False
    return True


def _make_step(suite: str, args: argparse.Namespace, engine: str, keep_memory: bool) -> Callable[..., object]:
    device = settle(args, keep_memory)
    overrides = [("MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", args.regions)]
    cfg, chosen, model = detector(suite, overrides, device, engine)
    step = _Step(chosen, model.train(), cfg, made_samples(cfg, args.images, args.short), device)
    return lambda half, shares=False: step.shares(half) if shares else step(half)


class _Step:
    """One SGD step of an engine on a fixed batch; a call returns its seconds, with autocast where `half`."""

    def __init__(
        self, engine: Engine, model: nn.Module, cfg: CfgNode, batch: Sequence[Sample], device: torch.device
    ):
        self.engine, self.model, self.batch, self.device = engine, model, batch, device
        self.optimizer, _ = engine.solver(cfg, model)
        for group in self.optimizer.param_groups:
            group["lr"] = 1e-6  # the weights stay where they are, so that every step has the same work

    def __call__(self, half: bool) -> float:
        return sum(self._timed(half, {}).values())

    def shares(self, half: bool) -> str:
        """The share of each phase in a step, the largest first."""
        inside: dict[str, float] = {}
        phases = self._timed(half, inside)
        total = sum(phases.values())
        phases["forward: regions and rest"] = phases.pop("forward") - sum(inside.values())
        phases |= {f"forward: {name}": s for name, s in inside.items()}
        ordered = sorted(phases.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {100 * seconds / total:.0f} %" for name, seconds in ordered)

    def _timed(self, half: bool, inside: dict[str, float]) -> dict[str, float]:
        """Seconds of forward, backward and update; `inside` is filled with those of the forward's parts."""
        handles = [h for name in PARTS for h in _clock(getattr(self.model, name), name, inside, self.device)]
        clock = _Lap(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            losses = self.engine.losses(self.model, self.batch)
        phases = {"forward": clock()}
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack([loss.float() for loss in losses.values()]).sum().backward()
        phases["backward"] = clock()
        self.optimizer.step()
        phases["update"] = clock()
        for handle in handles:
            handle.remove()
        return phases


class _Lap:
    """A stopwatch: a call returns the seconds since the last one, with all that was queued done."""

    def __init__(self, device: torch.device):
        self.device = device
        sync(device)
        self.last = time.perf_counter()

    def __call__(self) -> float:
        sync(self.device)
        now = time.perf_counter()
        self.last, passed = now, now - self.last
        return passed


def _clock(
    module: nn.Module, name: str, into: dict[str, float], device: torch.device
) -> list[torch.utils.hooks.RemovableHandle]:
    """Adds the seconds of the module's forward to `into[name]`; returns the hooks that do so."""
    began = [0.0]

    def before(*_: object) -> None:
        sync(device)
        began[0] = time.perf_counter()

    def after(*_: object) -> None:
        sync(device)
        into[name] = into.get(name, 0.0) + time.perf_counter() - began[0]

    return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]


if __name__ == "__main__":
    main()
