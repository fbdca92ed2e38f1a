"""`python -m pretrain.knn`: kNN accuracy of a finished checkpoint, as `--knn-every` measures it in a run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pretrain.errors import PretrainError
from pretrain.images.labelled import labelled_pair
from pretrain.options import Parser, add_encoder_options, default_workers, frozen, positive, real
from pretrain.process.exit_code import exit_code
from pretrain.process.memory import keep_freed_memory
from pretrain.process.progress import shown, write_result
from transfer.probes.protocols import KNN_NEIGHBOURS, KNN_TEMPERATURE


@dataclass(frozen=True)
class KnnOptions:
    """Holds the options of the command, one field each."""

    data: str
    pretrained: Path
    k: int | None
    temperature: float
    output: Path | None
    image_size: int
    batch_size: int
    workers: int | None
    key_encoder: bool
    device: str


def main(arguments: Sequence[str] | None = None) -> int:
    """kNN accuracy of a checkpoint, as --knn-every measures it; 0 when done, 2 on bad input."""
    parser = Parser(prog="python -m pretrain.knn", description=main.__doc__)
    add = parser.add_argument
    add("--data", required=True, help="class folders in train/ and in val/ or test/")
    add("--pretrained", required=True, type=Path, metavar="FILE", help="checkpoint of pretrain")
    default = f"default {KNN_NEIGHBOURS}, or fewer where a class has less than 1000 labelled images"
    add("-k", type=positive, metavar="K", help=f"neighbours that vote; {default}")
    above = real(0.0125)  # below, exp(1 / T) leaves the range of float32
    add("--temperature", type=above, default=KNN_TEMPERATURE, metavar="T", help="of the votes")
    add("--output", type=Path, metavar="FILE.json", help="the accuracy, in percent")
    add_encoder_options(parser)
    options = frozen(KnnOptions, parser.parse_args(arguments))
    return exit_code(lambda: measure(options))


def measure(options: KnnOptions) -> int:
    """Prints the accuracy. Raises PretrainError on bad input."""
    from pretrain.monitors.knn import KnnEvaluation
    from pretrain.process import distributed
    from pretrain.training.load_encoder import load_encoder
    from pretrain.training.refusals import make_directory

    sets = labelled_pair(options.data, "give a folder that has them")
    train, test = map(len, sets)
    if options.k and options.k > train:
        raise PretrainError(f"-k {options.k}: expected 1 to {train}, the number of labelled images")

    if options.output:  # told now, not after the work
        make_directory(options.output.parent)
    device = distributed.start_alone(options.device, "pretrain.knn")
    encoder, arch = load_encoder(options.pretrained, device, options.key_encoder)
    workers = options.workers or default_workers()
    evaluation = KnnEvaluation(sets, options.image_size, device, workers, batch_size=options.batch_size)
    k = options.k or evaluation.k
    with shown(evaluation.num_images, "kNN") as advance:
        accuracy = evaluation.accuracy(encoder, k, options.temperature, advance)
    for pixels in evaluation.pixels:
        pixels.warn_of_corrupt()
    print(
        f"kNN top-1 {accuracy:.2f} (k {k}, temperature {options.temperature:g}): "
        f"{test} images by {train} labelled ones",
        flush=True,
    )
    if options.output:
        result = {
            "knn": accuracy,
            "k": k,
            "temperature": options.temperature,
            "arch": arch,
            "pretrained": str(options.pretrained),
            "train_images": train,
            "test_images": test,
        }
        write_result(result, options.output)
    return 0


if __name__ == "__main__":
    from converters.command import command

    keep_freed_memory()
    sys.exit(command(main))
