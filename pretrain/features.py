"""`python -m pretrain.features`: writes the features of a frozen encoder for a set of images to a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pretrain.errors import PretrainError
from pretrain.options import Parser, add_encoder_options, default_workers, frozen
from pretrain.process.exit_code import exit_code
from pretrain.process.progress import shown


@dataclass(frozen=True)
class FeatureOptions:
    """Holds the options of the command, one field each."""

    data: str
    pretrained: Path
    output: Path
    image_size: int
    batch_size: int
    workers: int | None
    key_encoder: bool
    device: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes features, labels and names of a data set as .npz; 0 when done, 2 on bad input."""
    parser = Parser(prog="python -m pretrain.features", description=main.__doc__)
    add = parser.add_argument
    add("--data", required=True, help="folder, .txt list or .tar shards; no train/ is looked for")
    add("--pretrained", required=True, type=Path, metavar="FILE", help="checkpoint of pretrain")
    add("--output", required=True, type=Path, metavar="FILE.npz")
    add_encoder_options(parser)
    options = frozen(FeatureOptions, parser.parse_args(arguments))
    return exit_code(lambda: export(options))


def export(options: FeatureOptions) -> int:
    """Writes arrays: features float32 MxF (pooled, before the head), labels int64 M (-1: none), names M.

    Raises PretrainError on bad input and where the file cannot be written.
    """
    import numpy as np
    from boltons.fileutils import atomic_save

    from pretrain.images.decode import Pixels
    from pretrain.images.sources import find_images
    from pretrain.monitors.features import extract
    from pretrain.process import distributed
    from pretrain.training.load_encoder import load_encoder

    images = find_images(options.data, subset=None, minimum=1)
    device = distributed.start_alone(options.device, "pretrain.features")
    encoder, _ = load_encoder(options.pretrained, device, options.key_encoder)
    pixels = Pixels(images)
    with shown(len(images), "features") as advance:
        features = extract(
            encoder,
            pixels,
            image_size=options.image_size,
            device=device,
            batch_size=options.batch_size,
            workers=options.workers or default_workers(),
            done=advance,
        )
    labels = np.array(images.labels() if images.classes else [-1] * len(images), np.int64)
    names = np.array([image.name for image in images.images])
    try:
        with atomic_save(str(options.output), overwrite_part=True) as file:
            np.savez(file, features=features.numpy(), labels=labels, names=names)
    except OSError as error:
        raise PretrainError(f"--output {options.output}: cannot be written ({error.strerror})") from None
    pixels.warn_of_corrupt()
    print(f"{len(images)} images x {features.shape[1]} features: {options.output}")
    return 0


if __name__ == "__main__":
    from converters.command import command

    sys.exit(command(main))
