"""Features of a frozen encoder for a set of images; `python -m pretrain.features` writes them to a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from pretrain.cli import default_workers, reported
from pretrain.errors import PretrainError, warn
from pretrain.options import Parser, positive
from pretrain.process.progress import shown

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from pretrain.images.decode import Pixels


def centre_crop(pixels, size: int):
    """The published test transform: shorter side to size * 256/224, then the central size x size (uint8
    HxWx3).
    """
    from pretrain.images.augment_host import resized_crop

    height, width = pixels.shape[:2]
    side = min(height, width) * 224 / 256  # the same square, cut before the resize: one pass instead of two
    side = max(1, round(side))
    return resized_crop(pixels, ((height - side) // 2, (width - side) // 2, side, side), size)


def image_batches(
    pixels: Pixels, numbers: Sequence[int], size: int, batch_size: int, workers: int
) -> Iterator[Tensor]:
    """Centre crops as uint8 NxSxSx3 batches, in the order of `numbers`."""
    import numpy as np
    import torch

    from pretrain.images.loader import single_threaded

    def prepare(rows: Sequence[int]) -> Tensor:
        return torch.from_numpy(np.stack([centre_crop(pixels[i], size) for i in rows]))

    with ThreadPoolExecutor(max(1, workers), "features", initializer=single_threaded) as pool:
        threads = torch.get_num_threads()
        pool.submit(single_threaded).result()
        torch.set_num_threads(threads)
        yield from pool.map(
            prepare, [numbers[i : i + batch_size] for i in range(0, len(numbers), batch_size)]
        )


def extract(
    features_of: Callable[[Tensor], Tensor],
    pixels: Pixels,
    *,
    image_size: int,
    device: torch.device,
    batch_size: int = 256,
    workers: int = 2,
    done: Callable[[int], None] = lambda count: None,
) -> Tensor:
    """Features MxF (float32, CPU) of all images; `features_of` maps normalised images Nx3xSxS to NxF.

    `done` is told after each batch how many images it had, and may raise to end the work.
    """
    import torch

    from pretrain.images.augment_device import normalise

    parts = []
    with torch.inference_mode():
        for images in image_batches(pixels, range(len(pixels.images)), image_size, batch_size, workers):
            parts.append(features_of(normalise(images.to(device))).float().cpu())
            done(len(images))
    return torch.cat(parts)


def load_encoder(path: Path, device: torch.device, key: bool = False) -> tuple[nn.Module, str]:
    """The query encoder (or the key encoder) of a MoCo checkpoint in evaluation mode, and its arch.

    Raises PretrainError where the file is none, or its arch and its tensors disagree.
    """
    import torch

    from pretrain.networks.encoders import add_mlp_head, make_encoder_factory
    from pretrain.training import checkpoint

    contents = checkpoint.load(path)
    prefix = "module.encoder_k." if key else "module.encoder_q."
    stored = {n.removeprefix(prefix): v for n, v in contents["state_dict"].items() if n.startswith(prefix)}
    if not stored or "conv1.weight" not in stored:
        raise PretrainError(f"{path}: holds no {prefix}* tensors; expected a MoCo checkpoint")
    arch = str(contents.get("arch", "resnet50"))
    mlp = "fc.2.weight" in stored
    head = "fc.2.weight" if mlp else "fc.weight"
    if head not in stored:
        raise PretrainError(f"{path}: holds no {prefix}{head}; expected a MoCo checkpoint")
    dim = len(stored[head])
    small = contents["identity"].get("small_images", stored["conv1.weight"].shape[-1] == 3)
    encoder = make_encoder_factory(arch, dim=dim, small_images=bool(small))()
    if mlp:
        add_mlp_head(encoder)
    try:
        encoder.load_state_dict(stored)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise PretrainError(f"{path}: its tensors do not fit its arch {arch} ({reason})") from None
    return encoder.to(device).to(memory_format=torch.channels_last).eval(), arch


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes features, labels and names of a data set as .npz; 0 when done, 2 on bad input."""
    parser = Parser(prog="python -m pretrain.features", description=main.__doc__)
    parser.add_argument(
        "--data", required=True, help="folder, .txt list or .tar shards; no train/ is looked for"
    )
    parser.add_argument(
        "--pretrained", required=True, type=Path, metavar="FILE", help="checkpoint of pretrain"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FILE.npz")
    add_encoder_options(parser)
    args = parser.parse_args(arguments)
    return reported(lambda: export(args))


def add_encoder_options(parser: Parser) -> None:
    """What every command offers that runs a finished encoder over a folder."""
    parser.add_argument("--image-size", type=positive, default=224, metavar="N")
    parser.add_argument("-b", "--batch-size", type=positive, default=256, metavar="N")
    parser.add_argument("-j", "--workers", type=positive, metavar="N", help="threads that prepare images")
    parser.add_argument("--key-encoder", action="store_true", help="of encoder_k instead of encoder_q")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def export(args: argparse.Namespace) -> int:
    """File arrays: features float32 MxF (pooled, before the head), labels int64 M (-1: none), names M."""
    import numpy as np
    from boltons.fileutils import atomic_save

    from pretrain.images.decode import Pixels
    from pretrain.images.sources import find_images
    from pretrain.networks.encoders import pooled_features
    from pretrain.process import distributed

    images = find_images(args.data, subset=None, minimum=1)
    device = distributed.start_alone(args.device, "pretrain.features")
    encoder, _ = load_encoder(args.pretrained, device, args.key_encoder)
    pixels = Pixels(images)
    with shown(len(images), "features") as advance:
        features = extract(
            lambda x: pooled_features(encoder, x),
            pixels,
            image_size=args.image_size,
            device=device,
            batch_size=args.batch_size,
            workers=args.workers or default_workers(),
            done=advance,
        )
    labels = np.array(images.labels() if images.classes else [-1] * len(images), np.int64)
    try:
        with atomic_save(str(args.output), overwrite_part=True) as file:
            np.savez(
                file,
                features=features.numpy(),
                labels=labels,
                names=np.array([i.name for i in images.images]),
            )
    except OSError as error:
        raise PretrainError(f"--output {args.output}: cannot be written ({error.strerror})") from None
    for name, reason in pixels.corrupt_names().items():
        warn(f"corrupt image replaced: {name} ({reason})")
    print(f"{len(images)} images x {features.shape[1]} features: {args.output}")
    return 0


if __name__ == "__main__":
    from converters.command import command

    sys.exit(command(main))
