"""`python -m pretrain.linear`: the paper's linear protocol, one fc layer on frozen pooled features.

As published (arXiv 1911.05722, section 4.1): LR 30, no weight decay, 100 epochs, x0.1 at 60 and 80, batch
256, random crops and flips, 1-crop top-1. The trunk is in evaluation mode throughout, and is compared with
the checkpoint at the end. Several learning rates are trained at once: they share the trunk's pass, which is
nearly all of the cost.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.errors import PretrainError
from pretrain.memory import keep_freed_memory

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from pretrain.decode import Pixels


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pretrain.linear", description="Linear evaluation of a checkpoint."
    )
    parser.add_argument("--data", required=True, help="class folders in train/ and in val/ or test/")
    parser.add_argument("--pretrained", required=True, type=Path, metavar="FILE", help="MoCo checkpoint")
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="result file")
    parser.add_argument(
        "--lr", type=float, nargs="+", default=[30.0], help="one or several; each is reported"
    )
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--schedule", type=int, nargs="*", default=[60, 80], metavar="EPOCH")
    parser.add_argument("-b", "--batch-size", type=int, default=256)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("-j", "--workers", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when done, 2 on bad input."""
    args = build_parser().parse_args(arguments)
    try:
        result = evaluate(
            args.data,
            args.pretrained,
            rates=args.lr,
            epochs=args.epochs,
            schedule=args.schedule,
            batch_size=args.batch_size,
            image_size=args.image_size,
            workers=args.workers,
            seed=args.seed,
            device_name=args.device,
        )
        if args.output:
            write(result, args.output)
    except PretrainError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def evaluate(
    data: str,
    pretrained: Path,
    *,
    rates: Sequence[float],
    epochs: int,
    schedule: Sequence[int],
    batch_size: int,
    image_size: int,
    workers: int | None,
    seed: int,
    device_name: str,
) -> dict[str, Any]:
    """Trains one classifier per learning rate; returns {"top1": {rate: percent}, "arch": ..., "epochs": ...}.

    Raises PretrainError on bad input, and where the trunk would not have stayed as it was.
    """
    import torch

    from pretrain import distributed
    from pretrain.cli import default_workers
    from pretrain.decode import Pixels
    from pretrain.encoders import feature_width
    from pretrain.features import load_encoder
    from pretrain.knn import labelled_pair

    train_set, test_set = labelled_pair(data)
    if not 1 <= batch_size <= len(train_set):
        raise PretrainError(
            f"--batch-size {batch_size}: expected 1 to {len(train_set)}, the number of training images"
        )
    device = distributed.start(device_name)
    encoder, arch = load_encoder(pretrained, device)
    torch.manual_seed(seed)
    heads = [new_head(feature_width(encoder), len(train_set.classes)).to(device) for _ in rates]
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    pixels = Pixels(train_set, cache_bytes=1 << 30)
    threads = workers or default_workers()
    fit(
        encoder,
        heads,
        pixels,
        torch.tensor(train_set.labels()),
        rates=rates,
        epochs=epochs,
        schedule=schedule,
        batch_size=batch_size,
        image_size=image_size,
        workers=threads,
        seed=seed,
        device=device,
    )
    require_unmoved(before, encoder.state_dict())
    numbers = {name: number for number, name in enumerate(train_set.classes)}
    labels = torch.tensor([numbers[image.label or ""] for image in test_set.images])
    accuracies = top1(encoder, heads, Pixels(test_set), labels, image_size, threads, device)
    for rate, accuracy in zip(rates, accuracies, strict=True):
        print(f"lr {rate:g}: top-1 {accuracy:.2f}", flush=True)
    return {
        "top1": {f"{rate:g}": accuracy for rate, accuracy in zip(rates, accuracies, strict=True)},
        "arch": arch,
        "epochs": epochs,
        "pretrained": str(pretrained),
        "train_images": len(train_set),
        "test_images": len(test_set),
    }


def new_head(width: int, classes: int) -> nn.Linear:
    """Weights from N(0, 0.01), zero bias, as published."""
    from torch import nn

    head = nn.Linear(width, classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head


def fit(
    encoder: nn.Module,
    heads: Sequence[nn.Module],
    pixels: Pixels,
    labels: Tensor,
    *,
    rates: Sequence[float],
    epochs: int,
    schedule: Sequence[int],
    batch_size: int,
    image_size: int,
    workers: int,
    seed: int,
    device: torch.device,
) -> None:
    """SGD (momentum 0.9) on the heads; the encoder only computes features, in evaluation mode and without
    gradients.
    """
    import torch
    from torch.nn import functional as F

    from pretrain.draws import RECIPES
    from pretrain.encoders import pooled_features
    from pretrain.loader import batches
    from pretrain.schedule import step_schedule

    encoder.eval()
    per_epoch = len(pixels.images) // batch_size
    groups = [
        {"params": list(head.parameters()), "lr": rate} for head, rate in zip(heads, rates, strict=True)
    ]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    learning_rates = [step_schedule(rate, schedule, per_epoch) for rate in rates]
    stream = batches(
        pixels,
        RECIPES["linear"],
        seed=seed,
        batch_size=batch_size,
        image_size=image_size,
        first=0,
        last=epochs * per_epoch,
        workers=workers,
        augment_on_host=True,
        pin=device.type == "cuda",
        views=1,
    )
    for iteration, batch in enumerate(stream):
        for group, rate_at in zip(optimizer.param_groups, learning_rates, strict=True):
            group["lr"] = rate_at(iteration)
        with torch.no_grad():
            features = pooled_features(encoder, batch.images(device, (), True)[0])
        target = labels[batch.index].to(device)
        loss = torch.stack([F.cross_entropy(head(features), target) for head in heads]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (iteration + 1) % per_epoch == 0:
            print(
                f"epoch {(iteration + 1) // per_epoch}/{epochs}  loss {loss.item() / len(heads):.4f}",
                flush=True,
            )


def top1(
    encoder: nn.Module,
    heads: Sequence[nn.Module],
    pixels: Pixels,
    labels: Tensor,
    image_size: int,
    workers: int,
    device: torch.device,
) -> list[float]:
    """1-crop accuracy of each head in percent."""
    from pretrain.encoders import pooled_features
    from pretrain.features import extract

    features = extract(
        lambda x: pooled_features(encoder, x), pixels, image_size=image_size, device=device, workers=workers
    ).to(device)
    return [100 * (head(features).argmax(1).cpu() == labels).float().mean().item() for head in heads]


def require_unmoved(before: dict[str, Tensor], after: dict[str, Tensor]) -> None:
    """The proof that only the classifier was trained: every trunk tensor, statistics included, is
    bit-identical.
    """
    moved = [name for name, value in after.items() if not value.equal(before[name])]
    if moved:
        raise PretrainError(
            f"the frozen trunk moved during linear training ({moved[0]}, ...); the result is not valid"
        )


def write(result: dict[str, Any], path: Path) -> None:
    from boltons.fileutils import atomic_save

    try:
        with atomic_save(str(path), text_mode=True, overwrite_part=True) as file:
            file.write(json.dumps(result, indent=2) + "\n")
    except OSError as error:
        raise PretrainError(f"--output {path}: cannot be written ({error.strerror})") from None


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
