"""Features per second of `transfer.frozen` against the usual loop: torchvision's transforms in a DataLoader.

Both decode the same files, make the same view, and run the same network in float32; ours also hashes, checks
and keeps the features. `benchmarks.perf.probe` prints it.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import models
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

from converters.convert import open_checkpoint
from transfer.datasets.image_list.content import digests
from transfer.datasets.image_list.images import Images, Place, open_image
from transfer.frozen.cache import Entry
from transfer.frozen.extract import How, features_of, list_sha256
from transfer.frozen.network import build
from transfer.frozen.view import View
from transfer.process.distributed import World
from transfer.recipes.resolve import apply_manifest, load_recipe

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH, WIDTH, HEIGHT, QUALITY = 64, 500, 375, 90


def compare_features(pictures: int, arch: str, workers: int, device: torch.device) -> None:
    """Prints features/s, processor seconds, memory, the ratios, and how far the features are apart."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        images = drawn_images(root / "images", pictures)
        torch.manual_seed(0)
        net = models.get_model(arch, weights=None).eval()
        torch.save(net.state_dict(), root / "net.pth")
        backbone = open_checkpoint(root / "net.pth")
        cfg = apply_manifest(load_recipe("frozen"), backbone.manifest)
        ours: Any = build(cfg, backbone, seed=0, label="ours")[0]
        ours = ours.to(device)
        net.fc = nn.Identity()
        net = net.to(device)
        _warm(ours, net, device)
        contest: list[tuple[str, Callable[[], np.ndarray]]] = [
            ("ours, decode to cache", lambda: _ours(ours, images, root / "features", workers, device)),
            ("DataLoader", lambda: _theirs(net, images, workers, device)),
        ]
        print(
            f"\nfeatures of {pictures} JPEGs of {WIDTH} x {HEIGHT}, {arch}, {workers} workers, {device.type}"
        )
        found = [(name, *_measured(function, device)) for name, function in contest]
    for name, _, seconds, processor, memory in found:
        print(
            f"{name:<24}{pictures / seconds:>9.1f} images/s {pictures / processor:>8.1f} a processor second, "
            f"{memory}"
        )
    (_, one, wall, busy, _), (_, other, their_wall, their_busy, _) = found
    apart = np.abs(one - other).max() / np.abs(other).max()
    print(f"ratio {their_wall / wall:.2f} by the clock, {their_busy / busy:.2f} per core", flush=True)
    print(f"the features differ by at most {apart:.1e} of the greatest")


def drawn_images(folder: Path, count: int) -> Images:
    """Writes JPEGs with as much detail as photographs: about 90 kB each."""
    folder.mkdir(parents=True)
    places = []
    for number in range(count):
        draw = np.random.default_rng(number)
        coarse = Image.fromarray(draw.integers(0, 256, (24, 32, 3), np.uint8)).resize((WIDTH, HEIGHT), 3)
        fine = draw.normal(0, 12, (HEIGHT, WIDTH, 3))
        picture = np.clip(np.asarray(coarse) + fine, 0, 255).astype(np.uint8)
        path = folder / f"{number:06}.jpg"
        Image.fromarray(picture).save(path, quality=QUALITY)
        places.append(Place(str(path)))
    return Images("drawn", tuple(Path(place.file).name for place in places), tuple(places))


def _ours(net: Any, images: Images, root: Path, workers: int, device: torch.device) -> np.ndarray:
    facts = {"images": list_sha256(images, digests(images))}
    entry = Entry(root, facts, len(images))
    found = features_of(net, images, View(), entry, World(0, 1, device), None, How(BATCH, workers))
    assert found is not None
    return np.array(found)


class _Pictures(torch.utils.data.Dataset[Tensor]):
    """As torchvision's ImageFolder gives them."""

    def __init__(self, images: Images):
        self.places = images.places
        self.view = Compose(
            [
                Resize(256, InterpolationMode.BICUBIC),
                CenterCrop(224),
                ToTensor(),
                Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Tensor:
        seen: Tensor = self.view(open_image(self.places[index]))
        return seen


def _theirs(net: nn.Module, images: Images, workers: int, device: torch.device) -> np.ndarray:
    found = []
    loader = DataLoader(_Pictures(images), BATCH, num_workers=workers, pin_memory=device.type == "cuda")
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for batch in loader:
            found.append(net(batch.to(device, non_blocking=True)).cpu())
    return torch.cat(found).numpy()


def _warm(ours: Any, net: nn.Module, device: torch.device) -> None:
    """Lets libraries load and choose their kernels, which is no part of either."""
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for _ in range(2 if device.type == "cuda" else 1):
            size = BATCH if device.type == "cuda" else 4
            ours(torch.zeros(size, 224, 224, 3, dtype=torch.uint8, device=device)).cpu()
            net(torch.zeros(size, 3, 224, 224, device=device)).cpu()


def _measured(
    function: Callable[[], np.ndarray], device: torch.device
) -> tuple[np.ndarray, float, float, str]:
    """Runs it: its features, seconds by the clock and of all its processors, and its memory in words."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    before = _greatest(resource.RUSAGE_CHILDREN)
    began, busy = time.monotonic(), _processor()
    found = function()
    seconds, processor = time.monotonic() - began, _processor() - busy
    each = _greatest(resource.RUSAGE_CHILDREN)
    memory = f"{_greatest(resource.RUSAGE_SELF):.0f} MiB at most"
    if each > before:
        memory += f", {each:.0f} a worker"
    if device.type == "cuda":
        memory += f", GPU {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB"
    return found, seconds, processor, memory


def _greatest(of: int) -> float:
    """MiB that this process, or the largest of its ended children, ever held."""
    return resource.getrusage(of).ru_maxrss / 2**10


def _processor() -> float:
    """Processor seconds of this process and of its children that ended."""
    taken = os.times()
    return taken.user + taken.system + taken.children_user + taken.children_system
