"""Separable RoIAlign against torchvision's kernel, by map size: where `SMALL_MAP` of the engine comes from.

    python -m benchmarks.perf.roi_align [--threads N] [--repeats N]

Prints milliseconds of forward + backward for both and their ratio (kernel / separable, above 1: separable
wins) in one run, for the C4 head (1024 channels, 14 x 14 bins, 64 regions) and the box and mask heads of a
pyramid (256 channels, 7 x 7 or 14 x 14 bins, 128 or 32 regions). Regions of C4 are anywhere and of any size,
those of a pyramid 8 to 28 cells wide, as the level that they are read from says.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import product

import torch
import torchvision
from torch import Tensor

from transfer.engines.torchvision.regions.roi_align import SMALL_MAP, separable_roi_align

SCALE = 1 / 16  # of the map; no pixel of the image is looked at, so it is the same for all
HEADS = {"C4": (1024, 14, 64), "pyramid, boxes": (256, 7, 128), "pyramid, masks": (256, 14, 32)}
MAPS = ((8, 8), (16, 16), (24, 24), (32, 32), (48, 48), (64, 64))


def main() -> None:
    """Prints a line for each head, map and precision."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"{platform.machine()}, {args.threads} threads, torch {torch.__version__}, SMALL_MAP {SMALL_MAP}")
    print(f"{'head':<16}{'map':>8} {'dtype':>9} {'kernel ms':>10} {'separable ms':>13} {'ratio':>6}")
    for (head, shape), (height, width), dtype in product(
        HEADS.items(), MAPS, (torch.float32, torch.bfloat16)
    ):
        channels, bins, regions = shape
        features = torch.randn(1, channels, height, width).to(dtype, memory_format=torch.channels_last)
        boxes = _boxes(height, width, regions, pyramid=head != "C4")
        kernel = _time(partial(_kernel, boxes=boxes, bins=bins), features, args.repeats)
        ours = _time(partial(_separable, boxes=boxes, bins=bins), features, args.repeats)
        name = str(dtype).removeprefix("torch.")
        size = f"{height:>3} x{width:>3}"
        print(
            f"{head:<16}{size:>8} {name:>9} {kernel:>10.1f} {ours:>13.1f} {kernel / ours:>6.2f}", flush=True
        )


def _kernel(features: Tensor, boxes: Tensor, bins: int) -> Tensor:
    # the kernel has no bfloat16 on a CPU, so half precision pays for the casts, as it would in the engine
    out = torchvision.ops.roi_align(features.float(), [boxes], bins, SCALE, 0, aligned=True)
    return out.to(features.dtype)


def _separable(features: Tensor, boxes: Tensor, bins: int) -> Tensor:
    return separable_roi_align(features, [boxes], bins, SCALE, 0)


def _boxes(height: int, width: int, regions: int, pyramid: bool) -> Tensor:
    if not pyramid:
        corners = torch.rand(regions, 2, 2) * torch.tensor([width, height])
        return torch.cat([corners.min(1).values, corners.max(1).values], dim=1) / SCALE
    side = (8 + 20 * torch.rand(regions, 2)).clamp(max=min(height, width))
    corner = torch.rand(regions, 2) * (torch.tensor([width, height]) - side)
    return torch.cat([corner, corner + side], dim=1) / SCALE


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
