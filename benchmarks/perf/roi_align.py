"""Separable RoIAlign against torchvision's kernel, by map size: where `SMALL_MAP` of the engine comes from.

    python -m benchmarks.perf.roi_align [--threads N] [--repeats N]

Prints milliseconds of forward + backward for both and their ratio (kernel / separable, above 1: separable
wins) in one run. Shapes are those of the C4 head: 1024 channels, 14 x 14 bins, 64 regions.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
import torchvision
from torch import Tensor

from transfer.engines.torchvision.roi_align import SMALL_MAP, separable_roi_align

CHANNELS, BINS, REGIONS, SCALE = 1024, 14, 64, 1 / 16
MAPS = ((8, 8), (12, 12), (16, 16), (24, 24), (32, 32), (50, 68))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"{platform.machine()}, {args.threads} threads, torch {torch.__version__}, SMALL_MAP {SMALL_MAP}")
    print(f"{'map':>8} {'dtype':>9} {'kernel ms':>10} {'separable ms':>13} {'ratio':>6}")
    for height, width in MAPS:
        for dtype in (torch.float32, torch.bfloat16):
            features = torch.randn(1, CHANNELS, height, width).to(dtype, memory_format=torch.channels_last)
            boxes = _boxes(height, width)
            kernel = _time(partial(_kernel, boxes=boxes), features, args.repeats)
            ours = _time(partial(_separable, boxes=boxes), features, args.repeats)
            name = str(dtype).removeprefix("torch.")
            print(f"{height:>3} x{width:>3} {name:>9} {kernel:>10.1f} {ours:>13.1f} {kernel / ours:>6.2f}")


def _kernel(features: Tensor, boxes: Tensor) -> Tensor:
    # the kernel has no bfloat16 on a CPU, so half precision pays for the casts, as it would in the engine
    out = torchvision.ops.roi_align(features.float(), [boxes], BINS, SCALE, 0, aligned=True)
    return out.to(features.dtype)


def _separable(features: Tensor, boxes: Tensor) -> Tensor:
    return separable_roi_align(features, [boxes], BINS, SCALE, 0)


def _boxes(height: int, width: int) -> Tensor:
    corners = torch.rand(REGIONS, 2, 2) * torch.tensor([width, height]) / SCALE
    return torch.cat([corners.min(1).values, corners.max(1).values], dim=1)


def _time(function: Callable[[Tensor], Tensor], features: Tensor, repeats: int) -> float:
    """Median milliseconds of forward and backward."""
    features = features.detach().requires_grad_()
    out = function(features)
    gradient = torch.randn_like(out)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        out = function(features)
        torch.autograd.grad(out, features, gradient)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    main()
