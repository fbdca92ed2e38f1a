"""Speed and memory of pre-training against the published pipeline and step, as ratios measured in one run.

`python benchmarks/perf/pretrain.py --data DIR [--moco-repo CHECKOUT] [--device cuda]`. With a checkout of
facebookresearch/moco its own modules are timed; without one, the same steps restated in plain torchvision,
PIL and torch (`pretrain_published.py`). Each training step has a process of its own. On a CPU the clock is
that of the process, so that other people's work on the machine does not count; old and new are timed in turn
all the same, and medians are reported.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WARM_UP = 4  # steps until the memory of a process no longer grows


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", required=True, help="JPEG images, best of about 500x375 pixels")
    parser.add_argument("--moco-repo", type=Path, help="checkout of facebookresearch/moco")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=16, help="of the training step")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--moco-k", type=int, default=65536)
    parser.add_argument(
        "--threads", type=int, default=1, help="torch threads; the process clock adds them up"
    )
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--skip-step", action="store_true", help="input path and momentum update only")
    parser.add_argument("--output", type=Path, metavar="FILE.json")
    return parser.parse_args()


def in_turn(candidates: dict[str, Callable[[], Any]], repeats: int, device: Any = None) -> dict[str, float]:
    """Median seconds of each candidate, after one warm-up, timed one after the other in every repeat."""
    clock = cuda_clock if device is not None and device.type == "cuda" else time.process_time
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for repeat in range(repeats + 1):
        for name, run in candidates.items():
            begin = clock()
            run()
            if repeat:
                seconds[name].append(clock() - begin)
    return {name: statistics.median(values) for name, values in seconds.items()}


def cuda_clock() -> float:
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def input_path(data: str, count: int, size: int, repeats: int, repository: Path | None) -> dict[str, float]:
    """Pairs of views a second on one core, JPEG decoding included."""
    import torch

    from benchmarks.perf import pretrain_published as published
    from pretrain.images.augment_host import augment, resize_into
    from pretrain.images.decode import decode
    from pretrain.images.draws import draw_views
    from pretrain.images.recipes import RECIPES
    from pretrain.images.sources import find_images
    from pretrain.images.threads import single_threaded

    single_threaded()
    encoded = [image.read() for image in find_images(data).images[:count]]
    transform = published.transform(size, repository)
    recipe = RECIPES["v2"]
    out = torch.empty((size, size, 3), dtype=torch.uint8)

    def ours(colour: bool) -> None:
        for number, bytes_ in enumerate(encoded):
            pixels = decode(bytes_)
            for view in draw_views(0, 0, number, pixels.shape[0], pixels.shape[1], [recipe] * 2):
                resize_into(out, pixels, view.box)
                if colour:
                    out.numpy()[:] = augment(out.numpy(), view, recipe.steps)

    candidates = {
        "published": lambda: [published.pair(bytes_, transform) for bytes_ in encoded],
        "ours, all on the CPU": lambda: ours(True),
        "ours, host part": lambda: ours(False),
    }
    seconds = in_turn(candidates, repeats)
    return {name: len(encoded) / value for name, value in seconds.items()}


def joint(args: argparse.Namespace, device: Any) -> dict[str, dict[str, float]]:
    """DINO's multi-crop, images a second on one core, and a step of LARS, milliseconds."""
    from benchmarks.perf.pretrain_joint import lars, multi_crop
    from pretrain.images.sources import find_images
    from pretrain.images.threads import single_threaded

    single_threaded()
    encoded = [image.read() for image in find_images(args.data).images[: args.images]]
    seconds = in_turn(multi_crop(encoded), args.repeats)
    return {
        "multi-crop, images/s per core": {name: len(encoded) / value for name, value in seconds.items()},
        "LARS step, ms": {
            name: 1e3 * value for name, value in in_turn(lars(device), 4 * args.repeats, device).items()
        },
    }


def momentum_update(device: Any, repeats: int) -> dict[str, float]:
    """Milliseconds of one update of a ResNet-50 with MLP head."""
    from torch import nn
    from torchvision.models import resnet50

    from benchmarks.perf import pretrain_published as published
    from pretrain.methods.moco import MoCo

    model = MoCo(lambda: resnet50(num_classes=128), 128, 256, mlp=True).to(device)
    pairs: list[tuple[nn.Parameter, nn.Parameter]] = list(
        zip(model.encoder_k.parameters(), model.encoder_q.parameters(), strict=True)
    )
    candidates = {
        "published": lambda: published.momentum_update(pairs, 0.999),
        "ours": model.update_key_encoder,
    }
    return {name: 1e3 * value for name, value in in_turn(candidates, 4 * repeats, device).items()}


def training_step(args: argparse.Namespace, device: Any) -> dict[str, dict[str, float]]:
    """Images a second and peak memory (MiB) of a whole ResNet-50 step; images are ready on the device."""
    from benchmarks.perf import pretrain_published as published
    from benchmarks.perf.contestants import Contestant

    half = published.half_precision(device)
    precisions = ["fp32", half]
    steps = {
        f"{who} {precision}": (who, precision) for who in ("published", "ours") for precision in precisions
    }
    if device.type == "cpu":
        steps.pop(f"published {half}")  # it never autocasts; on a CPU its default is the comparison
    processes = {name: Contestant(_make_step, args, *step) for name, step in steps.items()}
    memory = {name: process("peak") for name, process in processes.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(args.repeats):
        for name, process in processes.items():
            seconds[name].append(process("seconds"))
    for process in processes.values():
        process.close()
    return {
        name: {"images/s": args.batch_size / statistics.median(values), "peak MiB": memory[name] / 2**20}
        for name, values in seconds.items()
    }


def _make_step(args: argparse.Namespace, who: str, precision: str) -> Callable[[str], float]:
    """A process of one step; answers with the seconds of the next, or with the peak bytes of the first."""
    import torch

    from benchmarks.perf import pretrain_published as published
    from pretrain.process.memory import keep_freed_memory

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    device = torch.device(args.device)
    clock = cuda_clock if device.type == "cuda" else time.process_time
    before = _memory(device, peak=False)
    if who == "ours":
        keep_freed_memory()  # as `python -m pretrain` does
        step = our_step(args, device, precision)
    else:
        step = published.step(args, device, None if precision == "fp32" else precision, args.moco_repo)
    for _ in range(WARM_UP):
        step()
    peak = _memory(device, peak=True) - before

    def answer(question: str) -> float:
        if question == "peak":
            return peak
        began = clock()
        step()
        return clock() - began

    return answer


def _memory(device: Any, peak: bool) -> int:
    """Bytes of the CUDA allocator, or of this process."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()
    if peak:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def our_step(args: argparse.Namespace, device: Any, precision: str) -> Callable[[], None]:
    """One step as `pretrain.training.loop` makes it, two BatchNorm groups, shuffled."""
    import torch

    from pretrain.methods.base import Step
    from pretrain.methods.moco import MoCo
    from pretrain.networks.encoders import make_encoder_factory
    from pretrain.training.updates import Updates

    groups = 1 if device.type == "cuda" else 2
    model = MoCo(
        make_encoder_factory("resnet50", dim=128, bn_groups=groups), 128, args.moco_k, T=0.2, mlp=True
    )
    model.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.03, momentum=0.9, weight_decay=1e-4, fused=True)
    size = (args.batch_size, 3, args.image_size, args.image_size)
    views = [torch.randn(size, device=device).contiguous(memory_format=torch.channels_last) for _ in range(2)]
    index, rng = torch.arange(args.batch_size, device=device), torch.Generator()

    updates = Updates(optimizer, [lambda iteration: 0.03], device, precision)

    def step() -> None:
        with updates.autocast():
            loss, _ = model(views, index, rng, Step(0, 1))
        updates.step(loss)
        model.after_step()

    return step


def main() -> None:
    args = parse()
    import torch

    device = torch.device(args.device)
    result: dict[str, Any] = {
        "torch": torch.__version__,
        "baseline": "checkout" if args.moco_repo else "restated",
    }
    pairs = result["pairs/s per core"] = input_path(
        args.data, args.images, args.image_size, args.repeats, args.moco_repo
    )
    show("pairs/s per core", pairs, {name: value / pairs["published"] for name, value in pairs.items()})
    result.update(joint(args, device))
    crops, steps = result["multi-crop, images/s per core"], result["LARS step, ms"]
    show("multi-crop, images/s per core", crops, {n: v / crops["published"] for n, v in crops.items()})
    show("LARS step, ms", steps, {name: steps["published"] / value for name, value in steps.items()})
    torch.set_num_threads(args.threads)
    update = result["momentum update ms"] = momentum_update(device, args.repeats)
    show("momentum update, ms", update, {name: update["published"] / value for name, value in update.items()})
    if not args.skip_step:
        step = result["ResNet-50 step"] = training_step(args, device)
        for quantity in ("images/s", "peak MiB"):
            values = {name: value[quantity] for name, value in step.items()}
            show(
                f"ResNet-50 step, {quantity}",
                values,
                {n: v / values["published fp32"] for n, v in values.items()},
            )
    if args.output:
        args.output.write_text(json.dumps(result, indent=2) + "\n")


def show(title: str, values: dict[str, float], ratios: dict[str, float]) -> None:
    print(f"\n| {title} | value | ratio to published |\n|---|---|---|")
    for name, value in values.items():
        print(f"| {name} | {value:.1f} | {ratios[name]:.2f} |", flush=True)


if __name__ == "__main__":
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # also runs as a file, without installation
    main()
