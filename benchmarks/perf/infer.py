"""Seconds an image of prediction, from pixels to what is scored: the embedded engine against Detectron2.

    python -m benchmarks.perf.infer [--suite voc_c4 coco_fpn_1x] [--device cpu] [--short 320] [--images 4]

Both engines get the same recipe, weights and images in one run, image by image in turns, each in its own
process. Both compute in single precision, as the harness predicts; ours keeps freed memory. The random
network finds all detections that the recipe allows, so masks weigh fully.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.perf.contestants import Contestant
from benchmarks.perf.engines import baseline_found, detector, header, made_samples, settle, sync


def main() -> None:
    """Prints a table a suite."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", nargs="+", default=["voc_c4", "coco_fpn_1x"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--short", type=int, default=320, help="shorter image side in pixels (recipes: 800)")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--proposals", type=int, default=300, help="proposals an image (recipes: 1000)")
    args = parser.parse_args()
    print(header(args, torch.device(args.device)))
    engines = {"detectron2": False, "torchvision": True} if baseline_found() else {"torchvision": True}
    for suite in args.suite:
        _compare(suite, args, engines)


def _compare(suite: str, args: argparse.Namespace, engines: dict[str, bool]) -> None:
    processes = {name: Contestant(_make_predictor, suite, args, name, keep) for name, keep in engines.items()}
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    found = {}
    for n in range(-1, args.images):  # the first warms up
        for name, process in processes.items():
            passed, found[name] = process(max(n, 0))
            if n >= 0:
                seconds[name].append(passed)
    base = statistics.median(seconds.get("detectron2", [float("nan")]))
    print(f"\n{suite}: images of {args.short} pixels, {args.proposals} proposals, detections {found}")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:<14}{median:>9.3f} s/image {base / median:>8.2f}x detectron2")
    for process in processes.values():
        process.close()


def _make_predictor(
    suite: str, args: argparse.Namespace, engine: str, keep_memory: bool
) -> Callable[[int], tuple[float, int]]:
    device = settle(args, keep_memory)
    overrides = [("MODEL.RPN.POST_NMS_TOPK_TEST", args.proposals), ("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.0)]
    cfg, chosen, model = detector(suite, overrides, device, engine)
    model.eval()
    samples = made_samples(cfg, args.images, args.short)

    def predict(n: int) -> tuple[float, int]:
        sync(device)
        began = time.perf_counter()
        found = len(chosen.predict(model, [samples[n]])[0])
        return time.perf_counter() - began, found

    return predict


if __name__ == "__main__":
    main()
