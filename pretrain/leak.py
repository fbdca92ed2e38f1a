"""Measures how much of a pretext accuracy is owed to shared batch statistics (section 3.3 of the paper).

`python -m pretrain.leak --data DIR --pretrained FILE` solves the pretext task twice with a finished network:
with keys normalised in the groups of their queries, and with shuffled keys. What the first gives more than
the second does not come from the images. The encoders stand still and the queue is filled anew, so both are
lower than in training, where outdated keys are easily told from the positive one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.errors import PretrainError
from pretrain.options import Parser, default_workers, device, frozen, positive
from pretrain.process.exit_code import exit_code
from pretrain.process.memory import keep_freed_memory
from pretrain.process.progress import shown, write_result

if TYPE_CHECKING:
    from torch import Tensor

    from pretrain.methods.moco import MoCo

UNSEEN_EPOCH = 2**20  # its augmentations were not trained on


@dataclass(frozen=True)
class LeakOptions:
    """Holds the options of the command, one field each."""

    data: str
    pretrained: Path
    images: int | None
    output: Path | None
    device: str
    workers: int | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Pretext accuracy of a checkpoint with and without shuffled keys; 0 when done, 2 on bad input."""
    parser = Parser(prog="python -m pretrain.leak", description=main.__doc__)
    add = parser.add_argument
    add("--data", required=True, help="as of python -m pretrain")
    add("--pretrained", required=True, type=Path, metavar="FILE", help="checkpoint of pretrain")
    counted = "queries that are counted; default: all, at most 4096"
    add("--images", type=positive, metavar="N", help=counted)
    add("--output", type=Path, metavar="FILE.json", help="the two accuracies, in percent")
    add("--device", type=device, default="auto")
    add("-j", "--workers", type=positive, metavar="N")
    options = frozen(LeakOptions, parser.parse_args(arguments))
    return exit_code(lambda: measure(options), "take a GPU with more memory, or --device cpu")


def measure(options: LeakOptions) -> int:
    """Prints both accuracies.

    Raises PretrainError where the file is no checkpoint of a queue, or the data do not fill a batch.
    """
    import torch

    from pretrain.images.decode import Pixels
    from pretrain.images.draws import Views
    from pretrain.images.loader import Loading, batches
    from pretrain.images.sources import find_images
    from pretrain.process import distributed
    from pretrain.training import checkpoint
    from pretrain.training.precision import autocast, choose_precision
    from pretrain.training.refusals import make_directory

    contents = checkpoint.load(options.pretrained)
    identity = contents["identity"]
    if identity.get("mechanism") != "queue":
        found = identity.get("mechanism", "no record of its options")
        raise PretrainError(
            f"{options.pretrained}: expected a checkpoint of --mechanism queue, found {found}"
        )
    images = find_images(options.data)
    batch_size = identity["batch_size"]
    if batch_size > len(images):
        raise PretrainError(
            f"--data {options.data}: {len(images)} images do not fill the checkpoint's batch of {batch_size}"
        )
    if options.output:  # told now, not after the work
        make_directory(options.output.parent)
    device = distributed.start_alone(options.device, "pretrain.leak")
    first = UNSEEN_EPOCH * (len(images) // batch_size)
    fill = identity["moco_k"] // batch_size  # batches until no key of the training is left in the queue
    steps = fill + math.ceil((options.images or min(4096, len(images))) / batch_size)
    stream = batches(
        Pixels(images, cache_bytes=1 << 30),
        [Views(2, identity["augmentation"], identity["image_size"])],
        seed=identity["seed"],
        batch_size=batch_size,
        first=first,
        last=first + steps,
        loading=Loading(options.workers or default_workers(), colour_on_host=True),
    )
    models = [
        frozen_model(contents, shuffle).to(device).to(memory_format=torch.channels_last)
        for shuffle in (False, True)
    ]
    with autocast(device, choose_precision("auto", device)), shown(steps, "pretext task") as advance:
        views = (advance(1) or batch.images(device) for batch in stream)
        own_groups, shuffled = pretext_accuracies(models, views, fill)
    print(f"pretext accuracy {own_groups:.2f} with keys in the groups of their queries")
    print(f"pretext accuracy {shuffled:.2f} with keys shuffled", flush=True)
    if options.output:
        write_result({"own_groups": own_groups, "shuffled": shuffled}, options.output)
    return 0


def frozen_model(contents: dict[str, Any], shuffle: bool) -> MoCo:
    """Makes the checkpoint's model with its own BatchNorm groups; its key encoder stands still (m = 1)."""
    from pretrain.methods.moco import MoCo
    from pretrain.networks.encoders import make_encoder_factory
    from pretrain.training import state

    identity = contents["identity"]
    make_encoder = make_encoder_factory(
        identity["arch"],
        dim=identity["moco_dim"],
        bn_groups=identity["bn_groups"],
        small_images=identity["small_images"],
    )
    options = {"T": identity["moco_t"], "mlp": identity["mlp"], "shuffle": shuffle}
    model = MoCo(make_encoder, identity["moco_dim"], identity["moco_k"], m=1.0, **options)
    with state.fitting("--pretrained", "state_dict"):
        model.load_state_dict({n.removeprefix("module."): v for n, v in contents["state_dict"].items()})
    return model


def pretext_accuracies(models: Sequence[MoCo], views: Iterable[Sequence[Tensor]], fill: int) -> list[float]:
    """Percent of queries whose own key is nearest, per model.

    `views` gives pairs (im_q, im_k) of Nx3xHxW; the first `fill` pairs only replace the queue. BatchNorm
    takes batch statistics, as in training.
    """
    import torch

    right, count = [0] * len(models), 0
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for number, (im_q, im_k) in enumerate(views):
            count += len(im_q) if number >= fill else 0
            for i, model in enumerate(models):
                logits, labels = model.train().contrast(im_q, im_k, rng)
                model.after_step()
                right[i] += int((logits.argmax(1) == labels).sum()) if number >= fill else 0
    return [100 * correct / count for correct in right]


if __name__ == "__main__":
    from converters.command import command

    keep_freed_memory()
    sys.exit(command(main))
