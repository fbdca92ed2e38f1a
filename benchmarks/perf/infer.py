"""Seconds an image of prediction, from pixels to what is scored: the embedded engine against Detectron2.

    python -m benchmarks.perf.infer [--suite voc_c4 coco_fpn_1x] [--device cpu] [--threads N] [--short 320]
                                    [--images 4]

One run, one machine, the same recipe, weights and images, image by image in turns; both in single precision,
as the harness predicts. The random network finds all detections that the recipe allows: masks weigh fully.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from benchmarks.perf.engines import detectors, header, made_samples, sync


def main() -> None:
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
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    print(header(args, device))
    for suite in args.suite:
        _compare(suite, args, device)


def _compare(suite: str, args: argparse.Namespace, device: torch.device) -> None:
    overrides = [("MODEL.RPN.POST_NMS_TOPK_TEST", args.proposals), ("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.0)]
    cfg, engines = detectors(suite, overrides, device)
    batch = made_samples(cfg, args.images, args.short)
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    found = {}
    for n, sample in enumerate([batch[0], *batch]):  # the first warms up
        for name, (engine, model) in engines.items():
            model.eval()
            sync(device)
            began = time.perf_counter()
            found[name] = len(engine.predict(model, [sample])[0])
            if n:
                seconds[name].append(time.perf_counter() - began)
    base = statistics.median(seconds.get("detectron2", [float("nan")]))
    print(f"\n{suite}: images of {args.short} pixels, {args.proposals} proposals, detections {found}")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:<14}{median:>9.3f} s/image {base / median:>8.2f}x detectron2")


if __name__ == "__main__":
    main()
